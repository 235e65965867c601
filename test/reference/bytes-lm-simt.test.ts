// The trained checkpoint as CUDA kernels, run thread by thread on the CPU with every access checked: the reference's text.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadModel } from '../../src/compile.ts';
import { openModel } from '../../src/open-model.ts';
import '../build-folder.ts';
import { checkpoint } from '../compiled-model.ts';

const example = new URL('../../examples/bytes-lm/', import.meta.url);
const { prompts } = JSON.parse(readFileSync(new URL('prompts.json', example), 'utf8')) as {
  prompts: readonly { prompt: string; greedy: string }[];
};
const test = suite('reference: bytes-lm on simt');

test('greedy continuations, byte for byte, by cached decode', async () => {
  const model = await loadModel(fileURLToPath(new URL('model.ts', example)));
  await using session = await openModel(model, checkpoint, { target: 'simt', maxSequences: 2 });
  for (const { prompt, greedy } of prompts) {
    const { text } = await session.complete(prompt, { maxTokens: 64, temperature: 0 });
    assert.is(text, greedy);
  }
});

test.run();
