// The trained checkpoint quantised: bits per byte of the validation text and greedy text beside those of its floats.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import bytesLm from '../../examples/bytes-lm/model.ts';
import { bitsPerByte } from '../../src/bits-per-byte.ts';
import { openModel } from '../../src/open-model.ts';
import { quantiseWeights } from '../../src/quantise.ts';
import { freshFolder } from '../build-folder.ts';
import { checkpoint } from '../compiled-model.ts';

const test = suite('reference: bytes-lm, quantised');
const valid = readFileSync(fileURLToPath(new URL('bytes-lm/valid.txt', import.meta.url)));
const { prompts } = JSON.parse(
  readFileSync(fileURLToPath(new URL('../../examples/bytes-lm/prompts.json', import.meta.url)), 'utf8'),
) as { prompts: readonly { prompt: string; greedy: string }[] };
const folder = freshFolder('bytes-lm-quantised');

const wanted = await bitsPerByte(bytesLm, checkpoint, valid, { target: 'cpu' });
for (const [tables, dtype, bound, least] of [
  ['int8', 'i8', 0.002, 100],
  ['fp8', 'f8', 0.005, 50],
] as const) {
  test(`${tables} tables and int8 keys: within ${bound} bits per byte`, async () => {
    const file = join(folder, `${tables}.safetensors`);
    await quantiseWeights(checkpoint, file, { tables: dtype, keys: 'i8' });
    const asFloats = await bitsPerByte(bytesLm, file, valid, { target: 'cpu' });
    const asBytes = await bitsPerByte(bytesLm, file, valid, { target: 'cpu', tables });
    console.log(`${tables}: ${wanted.toFixed(5)} bits per byte, ${asBytes.toFixed(5)} quantised`);
    assert.ok(Math.abs(asBytes - wanted) < bound, `${asBytes}, ${wanted} with floats`);
    assert.ok(Math.abs(asBytes - asFloats) < 1e-5, `${asBytes}, ${asFloats} with the same values as floats`);
    // Close calls fall otherwise, and what follows with them: how much of each text is that of the floats.
    await using session = await openModel(bytesLm, file, { target: 'cpu', tables, maxSequences: 1 });
    let same = 0;
    for (const { prompt, greedy } of prompts) {
      const { text } = await session.complete(prompt, { maxTokens: greedy.length, temperature: 0 });
      same += commonStart(text, greedy);
    }
    const all = prompts.reduce((sum, { greedy }) => sum + greedy.length, 0);
    console.log(`${tables}: ${same} of ${all} bytes of greedy text before the first that differs`);
    assert.ok(same >= least, `${same} of ${all}`);
  });
}

function commonStart(a: string, b: string): number {
  const first = [...b].findIndex((char, i) => a[i] !== char);
  return first < 0 ? b.length : first;
}

test.run();
