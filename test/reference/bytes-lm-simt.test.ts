// The trained checkpoint as CUDA kernels, run thread by thread on the CPU with every access checked: the reference's text, and what
// the cpu target samples with the same seed.

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

test('a seed gives the tokens of the cpu target, however they are chosen', async () => {
  const model = await loadModel(fileURLToPath(new URL('model.ts', example)));
  await using cpu = await openModel(model, checkpoint, { target: 'cpu', maxSequences: 1 });
  await using session = await openModel(model, checkpoint, { target: 'simt', maxSequences: 1 });
  const seen = new Set<string>();
  for (const options of [
    { temperature: 1, seed: 1 },
    { temperature: 1.5, topK: 9, seed: 2 },
    { temperature: 1.3, topP: 0.8, seed: 3 },
    { temperature: 1.2, topK: 40, topP: 0.9, seed: 2 ** 53 - 1 },
  ]) {
    const wanted = await cpu.complete('The ', { maxTokens: 6, ...options });
    const got = await session.complete('The ', { maxTokens: 6, ...options });
    assert.equal(got, wanted, JSON.stringify(options));
    seen.add(got.text);
  }
  assert.is(seen.size, 4, 'each seed says something else');
});

test.run();
