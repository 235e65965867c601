// Sixteen texts of the trained checkpoint at the same time, on the cpu target: each is what it is alone, whatever ends beside it.

import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { checkpoint, compiledBytesLm } from '../compiled-model.ts';
import { Random } from '../random.ts';
import { seed } from '../settings.ts';

const test = suite('reference: bytes-lm, many texts at once');
const BytesLm = await compiledBytesLm();
const random = new Random(seed, 'texts at once');
const valid = readFileSync(new URL('bytes-lm/valid.txt', import.meta.url));
const TEXTS = 16;
const options = { maxTokens: 64 };
/** Prompts of 1 to 180 bytes of the validation text, as ids. */
const prompts = Array.from({ length: TEXTS }, () => {
  const begin = random.below(valid.length - 180);
  return [256, ...valid.subarray(begin, begin + 1 + random.below(180))];
});

for (const threads of [1, 2]) {
  test(`each as alone, ${threads} threads`, async () => {
    await using model = await BytesLm.load(checkpoint, { threads, maxSequences: TEXTS });
    const alone: (readonly number[])[] = [];
    for (const prompt of prompts) alone.push((await model.complete(prompt, options)).tokens);
    const together = await Promise.all(prompts.map((prompt) => model.complete(prompt, options)));
    assert.equal(
      together.map(({ tokens }) => tokens),
      alone,
    );
    assert.ok(new Set(alone.map(String)).size > TEXTS / 2, 'texts that differ');
  });
}

test('aborts at random moments lose nothing of the others', async () => {
  await using model = await BytesLm.load(checkpoint, { threads: 2, maxSequences: 6 });
  const wanted: (readonly number[])[] = [];
  for (const prompt of prompts) wanted.push((await model.complete(prompt, options)).tokens);
  let aborted = 0;
  for (let round = 0; round < 20; round++) {
    await Promise.all(
      prompts.map(async (prompt, i) => {
        const signal = random.below(3) === 0 ? undefined : AbortSignal.timeout(random.below(60));
        try {
          const { tokens } = await model.complete(prompt, { ...options, signal, wait: true });
          assert.equal(tokens, wanted[i]);
        } catch (error) {
          assert.is((error as { code?: string }).code, 'aborted', String(error));
          assert.ok(signal?.aborted);
          aborted++;
        }
      }),
    );
  }
  assert.ok(aborted > 20 && aborted < 20 * TEXTS, `${aborted} were aborted`);
  for (let sequence = 0; sequence < 6; sequence++) assert.not(model.session.sequences!.inUse(sequence));
});

test.run();
