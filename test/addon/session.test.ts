// A loaded addon through Session: right numbers, typed errors, shared weights, calls that overlap, cancellation.

import { readFileSync, writeFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  CompiledModel,
  type GivenOutputs,
  loadNative,
  openNative,
  Session,
  sessionSymbols,
  type UltramemError,
} from '../../src/runtime/index.ts';
import { tensor } from '../../src/support/tensor.ts';
import { loadRelay, relayContinuation, relayFile, relayWeights } from './relay-addon.ts';

const test = suite('addon session');
const addon = loadRelay();
const tokenizer = { kind: 'bytes', bos: 256, eos: [] } as const;

async function open(delay = 0, maxSequences = 4): Promise<Session> {
  const native = await loadNative(addon, await relayFile(relayWeights(delay)), { tokenizer, threads: 2 });
  return new Session(native.openEngine(sessionSymbols(native.model, { maxSequences })));
}

const rejects = async (promise: Promise<unknown>, code: string): Promise<UltramemError> => {
  const error = await promise.then(
    () => undefined,
    (e: UltramemError) => e,
  );
  assert.is(error?.code, code, error?.stack ?? 'nothing was thrown');
  return error!;
};

const argmax = (row: Float32Array) => row.indexOf(Math.max(...row));

test('a step of several tokens of two sequences gives each its own logits', async () => {
  using session = await open();
  const { logits } = await session.forward({
    ids: [10, 20, 30, 5],
    positions: [0, 1, 2, 0],
    sequence: [0, 0, 0, 3],
  });
  assert.equal(logits!.shape, [4, 257]);
  const rows = [0, 1, 2, 3].map((t) => (logits!.data as Float32Array).subarray(t * 257, (t + 1) * 257));
  assert.equal(rows.map(argmax), [
    ...relayContinuation([10], 1),
    ...relayContinuation([10, 20], 1),
    ...relayContinuation([10, 20, 30], 1),
    ...relayContinuation([5], 1),
  ]);
  const best = argmax(rows[0]!);
  assert.is(rows[0]![best], 2 * (best + 1), 'prepare doubled the gain');
});

test('weights load from a file, from memory and by conversion, with the same result', async () => {
  const { gain, table } = relayWeights();
  const i64 = tensor('i64', [257], BigInt64Array.from(table!.data as Int32Array, BigInt));
  const bf16 = tensor(
    'bf16',
    [257],
    Uint16Array.from(gain!.data as Float32Array, (x) => new Uint32Array(Float32Array.of(x).buffer)[0]! >>> 16),
  );
  for (const weights of [
    await relayFile({ gain: gain!, table: table! }),
    { gain: gain!, table: table! },
    await relayFile({ gain: bf16, table: i64 }),
    { 'w.gain': bf16, 'w.table': i64, 'in.x': gain! },
  ]) {
    for (const copy of [false, true]) {
      const native = await loadNative(addon, weights, { tokenizer, copy });
      using session = new Session(native.openEngine(sessionSymbols(native.model, {})));
      native.dispose();
      const { tokens } = await session.complete([1, 2, 3], { maxTokens: 20 });
      assert.equal(tokens, relayContinuation([1, 2, 3], 20));
    }
  }
});

test('weights at odd addresses are copied, not mapped', async () => {
  const path = await relayFile();
  const bytes = readFileSync(path);
  const length = Number(bytes.readBigUInt64LE());
  for (const shift of [1, 2, 3]) {
    const head = Buffer.concat([bytes.subarray(0, 8 + length), Buffer.alloc(shift, ' ')]);
    head.writeBigUInt64LE(BigInt(length + shift));
    writeFileSync(path, Buffer.concat([head, bytes.subarray(8 + length)]));
    const native = await loadNative(addon, path, { tokenizer });
    using session = new Session(native.openEngine(sessionSymbols(native.model, {})));
    assert.equal((await session.complete([9], { maxTokens: 9 })).tokens, relayContinuation([9], 9));
    native.dispose();
  }
});

test('weights that do not fit: one error lists all', async () => {
  const { gain } = relayWeights();
  const error = await rejects(
    loadNative(addon, {
      gian: gain!,
      delay: tensor('f32', [2], new Float32Array(2)),
      table: tensor('f32', [257], new Float32Array(257)),
    }),
    'weights-mismatch',
  );
  assert.match(error.message, 'gain : f32[257]   (did you mean "gian"?)');
  assert.match(error.message, 'delay : got [2], want [1]');
  assert.match(error.message, 'table : got f32, want i32');
  assert.match(error.message, 'not in the model');
  await loadNative(addon, { ...relayWeights(), other: gain! }, { allowExtra: true });
});

test('indices out of range in a weight are found at load', async () => {
  const { gain } = relayWeights();
  const bad = (value: bigint) => tensor('i64', [257], new BigInt64Array(257).fill(value, 100, 101));
  for (const value of [257n, -1n, 1n << 40n]) {
    const error = await rejects(loadNative(addon, { gain: gain!, table: bad(value) }), 'weights-value-range');
    assert.match(error.message, 'at 100');
  }
});

test('outputs go where the caller says', async () => {
  using session = await open();
  const step = (first: number, sequence: number, outputs?: GivenOutputs) => {
    const ids = [first, first + 1];
    return session.forward({ ids, positions: [0, 1], sequence: ids.map(() => sequence) }, { outputs });
  };
  const wanted = await step(3, 0);
  const [one, two] = [new Float32Array(2 * 257), new Float32Array(2 * 257)];
  const results = await Promise.all([step(3, 1, { logits: one }), step(3, 2, { logits: two })]);
  for (const [i, own] of [one, two].entries()) {
    assert.is(results[i]!.logits!.data, own);
    assert.equal(results[i]!.logits!.shape, [2, 257]);
    assert.equal(own, wanted.logits!.data);
  }
});

test('outputs that do not fit are refused before anything runs', async () => {
  using session = await open();
  const step = (outputs: unknown) =>
    session.forward({ ids: [1], positions: [0], sequence: [0] }, { outputs } as { outputs: GivenOutputs });
  const long = await rejects(step({ logits: new Float32Array(258) }), 'output-invalid');
  assert.match(long.message, 'output "logits" is given Float32Array of 258, not Float32Array of 257');
  await rejects(step({ logits: new Int32Array(257) }), 'output-invalid');
  await rejects(step({ logits: null }), 'output-invalid');
  assert.match((await rejects(step({ logit: new Float32Array(257) }), 'output-invalid')).message, 'logits');
  await step({ logits: new Float32Array(257) });
});

test('inputs are checked before anything runs', async () => {
  using session = await open();
  const step = (ids: unknown, positions: unknown = [0], sequence: unknown = [0], more = {}) =>
    session.forward({ ids, positions, sequence, ...more } as never);
  await rejects(step([257]), 'token-out-of-range');
  await rejects(step([-1]), 'token-out-of-range');
  await rejects(step([1.5]), 'input-invalid');
  await rejects(step([1], [64]), 'position-past-cache');
  await rejects(step([1], [-1]), 'input-value-range');
  await rejects(step([1], [0], [4]), 'input-value-range');
  await rejects(step([1], [3]), 'sequence-not-in-use');
  await rejects(step([1, 2], [0]), 'input-invalid');
  await rejects(step([]), 'input-invalid');
  await rejects(step(undefined), 'input-missing');
  await rejects(step(Float32Array.of(1)), 'input-invalid');
  await rejects(step(new Uint8Array(1)), 'input-invalid');
  await rejects(step('abc'), 'input-invalid');
  await rejects(step(null), 'input-invalid');
  await rejects(step({ dtype: 'i32', shape: [3], data: new Int32Array(1) }), 'input-invalid');
  await rejects(step({ dtype: 'i32', shape: [1, 1], data: new Int32Array(1) }), 'input-invalid');
  await rejects(step({ dtype: 'f32', shape: [1], data: new Int32Array(1) }), 'input-invalid');
  await rejects(step([1], [0], [0], { idz: [1] }), 'input-unknown');
  await rejects(step(new Int32Array(17), new Int32Array(17), new Int32Array(17)), 'too-many-tokens');
  await rejects(step([1, 2], [0, 2], [0, 0]), 'tokens-not-adjacent');
  await rejects(step([1, 2, 3], [0, 0, 1], [0, 1, 0]), 'tokens-not-adjacent');
  assert.is(session.sequences!.inUse(0), false, 'a refused step takes nothing into use');
  await step([1, 2], [0, 1], [0, 0]);
  await rejects(step([1], [3]), 'position-gap');
  await step([1], [1]); // going back is fine: the only state is a cache by position
  assert.is(session.sequences!.length(0), 2);
  await step([1], [2]);
});

test('two sessions on the same weights run at once and do not see each other', async () => {
  const native = await loadNative(addon, relayWeights(1), { tokenizer });
  const sessions = [1, 2].map(() => new Session(native.openEngine(sessionSymbols(native.model, {}), 1)));
  native.dispose(); // sessions keep what they need
  const generations = await Promise.all(
    sessions.flatMap((session, i) => [
      session.complete([i + 1], { maxTokens: 12 }),
      session.complete([i + 50, 3], { maxTokens: 12 }),
    ]),
  );
  assert.equal(
    generations.map(({ tokens }) => tokens),
    [[1], [50, 3], [2], [51, 3]].map((prompt) => relayContinuation(prompt, 12)),
  );
  for (const session of sessions) session.dispose();
});

test('shared steps give every generation its own tokens', async () => {
  const native = await loadNative(addon, relayWeights(1), { tokenizer });
  await using session = new Session(native.openEngine(sessionSymbols(native.model, { maxSequences: 8 })));
  const prompts = Array.from({ length: 8 }, (_, i) => Array.from({ length: 1 + 3 * i }, (_, k) => i * k));
  const generations = await Promise.all(prompts.map((prompt) => session.complete(prompt, { maxTokens: 10 })));
  assert.equal(
    generations.map(({ tokens }) => tokens),
    prompts.map((prompt) => relayContinuation(prompt, 10)),
  );
});

test('models share weights in any order of opening and disposing', async () => {
  class Relay extends CompiledModel {
    static async load() {
      return new Relay(await openNative(addon, relayWeights(), { tokenizer }));
    }
    openSession() {
      return new Relay(this.share({ maxSequences: 1 }));
    }
    complete = (prompt: number[]) => this.session.complete(prompt, { maxTokens: 3 });
  }
  const first = await Relay.load();
  const second = first.openSession();
  first.dispose();
  first.dispose();
  const third = second.openSession();
  second.dispose();
  assert.equal((await third.complete([4])).tokens, relayContinuation([4], 3));
  await rejects(second.complete([4]), 'disposed');
  await third[Symbol.asyncDispose]();
  assert.throws(
    () => third.openSession(),
    (e: UltramemError) => e.code === 'disposed',
  );
});

test('the event loop goes on during a long step', async () => {
  using session = await open(10);
  let ticks = 0;
  const timer = setInterval(() => ticks++, 10);
  const positions = Int32Array.from({ length: 16 }, (_, i) => i);
  await session.forward({ ids: new Int32Array(16), positions, sequence: new Int32Array(16) });
  clearInterval(timer);
  assert.ok(ticks >= 8, `${ticks} ticks during 160 ms`);
});

test('an abort ends a running step and a waiting one, and the session goes on', async () => {
  using session = await open(20);
  const sixteen = Int32Array.from({ length: 16 }, (_, i) => i);
  const inputs = (sequence: number) => ({
    ids: sixteen,
    positions: sixteen,
    sequence: new Int32Array(16).fill(sequence),
  });
  const [running, waiting] = [new AbortController(), new AbortController()];
  const began = performance.now();
  const calls = [
    session.forward(inputs(0), { signal: running.signal }),
    session.forward(inputs(1), { signal: waiting.signal }),
  ].map((call) => rejects(call, 'aborted'));
  setTimeout(() => waiting.abort(), 20);
  await calls[1];
  assert.ok(performance.now() - began < 200, 'a waiting call leaves at once');
  setTimeout(() => running.abort(new Error('enough')), 20);
  const error = await calls[0]!;
  assert.is((error.cause as Error).message, 'enough');
  assert.ok(performance.now() - began < 250, 'a running step stops between launches');
  assert.is(session.sequences!.length(0), 0, 'what it half wrote is forgotten');
  await rejects(session.forward(inputs(2), { signal: AbortSignal.abort() }), 'aborted');
  await session.forward({ ids: [1], positions: [0], sequence: [0] });
});

test('dispose during a step: the step fails, later calls too, nothing crashes', async () => {
  for (let round = 0; round < 10; round++) {
    const session = await open(2);
    const sixteen = Int32Array.from({ length: 16 }, (_, i) => i);
    const inputs = { ids: sixteen, positions: sixteen, sequence: new Int32Array(16) };
    const calls = [session.forward(inputs), session.forward(inputs)].map((call) => rejects(call, 'disposed'));
    await new Promise((resolve) => setTimeout(resolve, round));
    if (round % 2 === 0) session.dispose();
    else await session[Symbol.asyncDispose]();
    await Promise.all(calls);
    await rejects(session.forward(inputs), 'disposed');
    session.dispose();
  }
});

test('loading can be aborted', async () => {
  const path = await relayFile();
  await rejects(loadNative(addon, path, { signal: AbortSignal.abort() }), 'aborted');
  const late = new AbortController();
  const load = loadNative(addon, path, { signal: late.signal }).then(
    () => 'loaded',
    (error: UltramemError) => error.code,
  );
  setImmediate(() => late.abort());
  assert.ok(['loaded', 'aborted'].includes(await load));
});

test('maxSequences and threads within their bounds', async () => {
  const native = await loadNative(addon, relayWeights());
  for (const maxSequences of [0, 9, 1.5, Number.NaN]) {
    assert.throws(
      () => sessionSymbols(native.model, { maxSequences }),
      (e: UltramemError) => e.code === 'symbol-out-of-range',
    );
  }
  for (const threads of [0, -1, 1.5, 1e9]) {
    assert.throws(
      () => native.openEngine({ S: 1 }, threads),
      (e: UltramemError) => e.code === 'option-invalid',
    );
  }
  assert.throws(
    () => native.openEngine({ S: 1 }, 1, { counters: true }),
    (e: UltramemError) => e.code === 'cannot-observe',
  );
  const engine = native.openEngine({ S: 1 });
  assert.equal(engine.counters(), [], 'nobody asked for any');
  engine.dispose();
  assert.throws(
    () => engine.counters(),
    (e: UltramemError) => e.code === 'disposed',
  );
  native.dispose();
  assert.throws(
    () => native.openEngine({ S: 1 }),
    (e: UltramemError) => e.code === 'disposed',
  );
});

test.run();
