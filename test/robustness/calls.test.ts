// Calls of a compiled language model that cannot work, are given up, or overlap: each ends with its code, and the model goes on.

import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { checkpoint, compiledBytesLm, type EmittedModel } from '../compiled-model.ts';
import { rejects } from './rejection.ts';

const test = suite('robustness: calls');
const BytesLm = await compiledBytesLm();
const model = await BytesLm.load(checkpoint, { threads: 2, maxSequences: 2 });
const { prompts } = JSON.parse(
  readFileSync(new URL('../../examples/bytes-lm/prompts.json', import.meta.url), 'utf8'),
) as {
  prompts: readonly { prompt: string; greedy: string }[];
};
const [{ prompt, greedy }] = prompts as [{ prompt: string; greedy: string }];
const context = 256;

/** What must still work after every fault. */
async function goesOn(on: EmittedModel = model): Promise<void> {
  const { text } = await on.complete(prompt, { maxTokens: 12, temperature: 0 });
  assert.is(text, greedy.slice(0, 12));
}

const step = (ids: ArrayLike<number>, positions: ArrayLike<number>, sequence: ArrayLike<number>) =>
  model.forward({
    ids: Int32Array.from(ids),
    positions: Int32Array.from(positions),
    sequence: Int32Array.from(sequence),
  });

/** The longest step: two whole contexts. */
const longest = {
  ids: Int32Array.from({ length: 512 }, (_, i) => i % 256),
  positions: Int32Array.from({ length: 512 }, (_, i) => i % context),
  sequence: Int32Array.from({ length: 512 }, (_, i) => Math.floor(i / context)),
};

test('ids, positions and sequences out of range', async () => {
  await rejects(step([257], [0], [0]), 'token-out-of-range');
  await rejects(step([-1], [0], [0]), 'token-out-of-range');
  await rejects(step([2 ** 31 - 1], [0], [0]), 'token-out-of-range');
  await rejects(step([1], [256], [0]), 'position-past-cache');
  await rejects(step([1], [2 ** 31 - 1], [0]), 'position-past-cache');
  await rejects(step([1], [-1], [0]), 'input-value-range');
  await rejects(step([1], [0], [2]), 'input-value-range');
  await rejects(step([1], [0], [-1]), 'input-value-range');
  await rejects(step([1], [5], [0]), 'sequence-not-in-use');
  await rejects(step([1, 2], [0, 2], [0, 0]), 'tokens-not-adjacent');
  await rejects(step([], [], []), 'input-invalid');
  await rejects(step(new Uint8Array(513), new Uint8Array(513), new Uint8Array(513)), 'too-many-tokens');
  await goesOn();
});

test('prompts that are too long, empty, or of no token', async () => {
  await rejects(() => model.generate('x'.repeat(context)), 'prompt-too-long');
  await rejects(() => model.generate('x'.repeat(100_000)), 'prompt-too-long');
  await rejects(() => model.generate([]), 'prompt-empty');
  await rejects(() => model.generate([256, 257]), 'token-out-of-range');
  await rejects(() => model.generate([256, -1]), 'token-out-of-range');
  await rejects(() => model.generate([256, 1.5]), 'token-out-of-range');
  await rejects(() => model.generate('x', { temperature: Number.NaN }), 'option-invalid');
  const { tokens, finishReason } = await model.complete('x'.repeat(context - 1), { temperature: 0 });
  assert.equal([tokens.length, finishReason], [1, 'context'], 'a prompt that just fits');
  await goesOn();
});

test('a generation runs to the end of the cache and no further', async () => {
  const { tokens, finishReason } = await model.complete('x'.repeat(230), { temperature: 0 });
  assert.equal([tokens.length, finishReason], [context - 231 + 1, 'context']);
  await goesOn();
});

test('an abort in the middle of a generation: its sequence is free and the session works', async () => {
  for (const after of [1, 7]) {
    const controller = new AbortController();
    let tokens = 0;
    const run = async (): Promise<void> => {
      for await (const _ of model.generate(prompt, { temperature: 0, signal: controller.signal })) {
        if (++tokens === after) setImmediate(() => controller.abort(new Error('enough')));
      }
    };
    const error = await rejects(run(), 'aborted');
    assert.is((error.cause as Error).message, 'enough');
    assert.ok(tokens < 100, `${tokens} tokens after the abort`);
    assert.equal([model.session.sequences!.inUse(0), model.session.sequences!.inUse(1)], [false, false]);
    await goesOn();
  }
});

test('an abort in the middle of a long step ends it early, and what it half wrote is forgotten', async () => {
  const began = performance.now();
  await model.forward(longest);
  const whole = performance.now() - began;
  const controller = new AbortController();
  setTimeout(() => controller.abort(), whole / 5);
  await rejects(model.forward(longest, { signal: controller.signal }), 'aborted');
  for (const sequence of [0, 1]) {
    assert.is(model.session.sequences!.length(sequence), 0);
    model.session.sequences!.free(sequence);
  }
  await goesOn();
});

test('a step that waits for another is aborted without it', async () => {
  const running = model.forward(longest);
  await rejects(model.forward(longest, { signal: AbortSignal.timeout(1) }), 'aborted');
  assert.is((await running).logits!.shape[0], 512);
  for (const sequence of [0, 1]) model.session.sequences!.free(sequence);
  await goesOn();
});

test('more generations than sequences: the last is refused, the others end as alone', async () => {
  const options = { maxTokens: 12, temperature: 0 };
  const calls = prompts.slice(0, 3).map(({ prompt: given }) => model.complete(given, options));
  const [first, second, third] = await Promise.allSettled(calls);
  assert.is(third?.status === 'rejected' && third.reason.code, 'no-free-sequence');
  for (const [i, ended] of [first!, second!].entries()) {
    assert.is(ended.status === 'fulfilled' && ended.value.text, prompts[i]!.greedy.slice(0, 12));
  }
});

test('dispose during a step or a generation: it fails, later calls fail, other sessions go on', async () => {
  for (let round = 0; round < 6; round++) {
    const session = model.openSession({ maxSequences: 3, threads: 1 + (round % 3) });
    assert.equal([session.session.sequences!.allocate(), session.session.sequences!.allocate()], [0, 1]); // for `longest`
    const calls = [rejects(session.forward(longest), 'disposed'), rejects(session.complete(prompt), 'disposed')];
    await new Promise((resolve) => setTimeout(resolve, 2 * round));
    if (round % 2 === 0) session.dispose();
    else await session[Symbol.asyncDispose]();
    await Promise.all(calls);
    await rejects(session.forward(longest), 'disposed');
    await rejects(session.complete(prompt), 'disposed');
    session.dispose();
  }
  await goesOn();
});

test('loading can be aborted', async () => {
  await rejects(BytesLm.load(checkpoint, { signal: AbortSignal.abort() }), 'aborted');
  const controller = new AbortController();
  setTimeout(() => controller.abort(), 3);
  const ended = await BytesLm.load(checkpoint, { signal: controller.signal }).then(
    (loaded) => loaded.dispose(),
    (error) => error.code,
  );
  assert.ok(ended === undefined || ended === 'aborted', String(ended));
  await goesOn();
});

test('options of load and openSession out of range', async () => {
  for (const maxSequences of [0, -1, 1.5, Number.NaN, 65]) {
    await rejects(() => model.openSession({ maxSequences }), 'symbol-out-of-range');
  }
  for (const threads of [0, -1, 1.5, Number.NaN, 1e9]) {
    await rejects(() => model.openSession({ threads }), 'option-invalid');
  }
});

test('the last session takes the weights with it', async () => {
  const first = await BytesLm.load(checkpoint, { threads: 1 });
  const second = first.openSession({ threads: 1 });
  first.dispose();
  await goesOn(second);
  second.dispose();
  await rejects(() => second.openSession(), 'disposed');
});

test.after(() => model.dispose());
test.run();
