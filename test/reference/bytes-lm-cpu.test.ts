// The trained checkpoint on the cpu target, through the class that users load: the reference's text, its bits per byte, and
// the same tokens however steps are cut.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openSafetensors, readTensor, type Tensor } from '../../src/runtime/index.ts';
import { checkpoint, compiledBytesLm, type EmittedModel } from '../compiled-model.ts';
import { relativeL2 } from './golden.ts';

const folder = new URL('bytes-lm/', import.meta.url);
const { prompts } = JSON.parse(
  readFileSync(new URL('../../examples/bytes-lm/prompts.json', import.meta.url), 'utf8'),
) as {
  prompts: readonly { prompt: string; greedy: string }[];
};
const [bos, vocab, context] = [256, 257, 256];
/** Where the batch, the cache and the cut of steps may differ: rounding of products of other shapes. */
const tolerance = 1e-5;

const test = suite('reference: bytes-lm on cpu');
const BytesLm = await compiledBytesLm();
const reference = await openSafetensors(fileURLToPath(new URL('reference.safetensors', folder)));
const model = await BytesLm.load(checkpoint, { threads: 2, maxSequences: 4 });

/** Tokens of one sequence from a position on. */
interface Piece {
  readonly sequence: number;
  readonly from: number;
  readonly ids: ArrayLike<number>;
}

/** Logits of a step over these pieces, a tensor for each. */
async function step(on: EmittedModel, pieces: readonly Piece[]): Promise<Float32Array[]> {
  const flat = (of: (piece: Piece, i: number) => number) =>
    Int32Array.from(pieces.flatMap((piece) => Array.from(piece.ids, (_, i) => of(piece, i))));
  const { logits } = await on.forward({
    ids: flat(({ ids }, i) => ids[i]!),
    positions: flat(({ from }, i) => from + i),
    sequence: flat(({ sequence }) => sequence),
  });
  let row = 0;
  return pieces.map(({ ids }) => {
    row += ids.length;
    return (logits!.data as Float32Array).subarray((row - ids.length) * vocab, row * vocab);
  });
}

const whole = async (on: EmittedModel, ids: ArrayLike<number>, sequence = 0): Promise<Float32Array> =>
  (await step(on, [{ sequence, from: 0, ids }]))[0]!;

/** Largest relative l2 error of one token's logits. */
function worstRow(got: Float32Array, wanted: Float32Array): number {
  assert.is(got.length, wanted.length);
  let worst = 0;
  for (let at = 0; at < wanted.length; at += vocab) {
    const row = (data: Float32Array): Tensor => ({ dtype: 'f32', shape: [vocab], data: data.subarray(at, at + vocab) });
    const error = relativeL2(row(got), row(wanted));
    assert.ok(!Number.isNaN(error), `token ${at / vocab}`);
    worst = Math.max(worst, error);
  }
  return worst;
}

/** The text of window `w` of the validation text behind the begin token, without its last byte; and all of its bytes. */
const valid = readFileSync(new URL('valid.txt', folder));
const window = (w: number): { input: number[]; targets: Buffer } => {
  const targets = valid.subarray(w * context, (w + 1) * context);
  return { input: [bos, ...targets.subarray(0, -1)], targets };
};

test('greedy continuations, byte for byte, by cached decode', async () => {
  for (const [p, { prompt, greedy }] of prompts.entries()) {
    const { text, tokens, finishReason } = await model.complete(prompt, { maxTokens: 64, temperature: 0 });
    assert.equal([...tokens], Array.from((await readTensor(reference, `prompt${p}.greedy`)).data, Number), prompt);
    assert.equal([text, finishReason], [greedy, 'length']);
  }
});

test('logits of the prompts', async () => {
  for (const p of prompts.keys()) {
    const ids = await readTensor(reference, `prompt${p}.ids`, 'i32');
    const got = await whole(model, ids.data);
    const wanted = await readTensor(reference, `prompt${p}.logits`, 'f32');
    const error = relativeL2({ dtype: 'f32', shape: wanted.shape, data: got }, wanted);
    assert.ok(error <= tolerance, `prompt ${p}: relative l2 error ${error}`);
  }
});

test('bits per byte of the first 64 windows of the validation text', async () => {
  const nats = (await readTensor(reference, 'valid.window_nats', 'f32')).data as Float32Array;
  const windows = valid.length / context;
  assert.is(windows, 64);
  let [total, wanted] = [0, 0];
  for (let w = 0; w < windows; w++) {
    const { input, targets } = window(w);
    const own = negativeLogLikelihood(await whole(model, input), targets);
    const off = Math.abs(own - nats[w]!) / nats[w]!;
    assert.ok(off < 1e-4, `window ${w}: ${own} nats, the reference has ${nats[w]}`);
    total += own;
    wanted += nats[w]!;
  }
  const bits = (sum: number): number => sum / Math.LN2 / valid.length;
  assert.ok(Math.abs(bits(total) - bits(wanted)) < 0.001, `${bits(total)} bits per byte, wanted ${bits(wanted)}`);
});

/** Nats of the targets under the rows of logits, one each. */
function negativeLogLikelihood(logits: Float32Array, targets: Uint8Array): number {
  let nats = 0;
  targets.forEach((target, t) => {
    const row = logits.subarray(t * vocab, (t + 1) * vocab);
    const most = row.reduce((a, b) => Math.max(a, b));
    nats += most + Math.log(row.reduce((sum, x) => sum + Math.exp(x - most), 0)) - row[target]!;
  });
  return nats;
}

test('cached decode gives the logits of the full forward', async () => {
  const { input } = window(3);
  const full = await whole(model, input);
  const cached = new Float32Array(full.length);
  // Every variant of the plan writes the cache: a long piece, some short ones, then one token after another.
  const cuts = [100, 109, 110, 126, 127, ...Array.from({ length: context - 127 }, (_, i) => 128 + i)];
  let from = 0;
  for (const to of cuts) {
    const [logits] = await step(model, [{ sequence: 1, from, ids: input.slice(from, to) }]);
    cached.set(logits!, from * vocab);
    from = to;
  }
  assert.is(from, context);
  const error = worstRow(cached, full);
  assert.ok(error <= tolerance, `relative l2 error ${error}`);
});

test('a batch of prefill and decode gives each sequence what it gets alone', async () => {
  const texts = [4, 5, 6, 7].map((w) => window(w).input);
  const alone = [];
  for (const ids of texts) alone.push(await whole(model, ids));
  // Sequence 0 decodes, 1 continues in a piece, 2 begins, 3 begins with a single token; order is none of theirs.
  const begun: Piece[] = [
    { sequence: 0, from: 0, ids: texts[0]!.slice(0, 90) },
    { sequence: 1, from: 0, ids: texts[1]!.slice(0, 33) },
  ];
  await step(model, begun);
  const mixed: Piece[] = [
    { sequence: 2, from: 0, ids: texts[2]!.slice(0, 120) },
    { sequence: 0, from: 90, ids: texts[0]!.slice(90, 91) },
    { sequence: 3, from: 0, ids: texts[3]!.slice(0, 1) },
    { sequence: 1, from: 33, ids: texts[1]!.slice(33, 50) },
  ];
  const few = mixed.map(({ sequence, from, ids }) => ({
    sequence,
    from: from + ids.length,
    ids: texts[sequence]!.slice(from + ids.length, from + ids.length + 3),
  }));
  for (const pieces of [mixed, few]) {
    const logits = await step(model, pieces);
    for (const [i, { sequence, from, ids }] of pieces.entries()) {
      const error = worstRow(logits[i]!, alone[sequence]!.slice(from * vocab, (from + ids.length) * vocab));
      assert.ok(error <= tolerance, `sequence ${sequence}: relative l2 error ${error}`);
    }
  }
});

test('one, two and three threads give the same bits', async () => {
  const { input } = window(8);
  const runs: Float32Array[][] = [];
  for (const threads of [1, 2, 3]) {
    using session = model.openSession({ threads });
    const logits = [await whole(session, input.slice(0, 200))];
    for (const to of [201, 210, 211, 212]) {
      const from = to === 210 ? 201 : to - 1;
      logits.push(...(await step(session, [{ sequence: 0, from, ids: input.slice(from, to) }])));
    }
    runs.push(logits);
  }
  const bits = (run: Float32Array[]): Buffer => Buffer.concat(run.map((x) => Buffer.from(x.slice().buffer)));
  assert.ok(bits(runs[0]!).equals(bits(runs[1]!)), 'two threads');
  assert.ok(bits(runs[0]!).equals(bits(runs[2]!)), 'three threads');
});

test('sequences that are reset, freed or begun again forget what they held', async () => {
  using session = model.openSession({ maxSequences: 2 });
  const sequences = session.session.sequences!;
  const [first, second] = [window(9).input, window(10).input.slice(0, 40)];
  const wanted = await whole(session, second, 1);
  const asWanted = async (how: string): Promise<void> => {
    assert.ok(
      Buffer.from((await whole(session, second)).slice().buffer).equals(Buffer.from(wanted.slice().buffer)),
      how,
    );
  };
  await whole(session, first);
  sequences.reset(0);
  assert.is(sequences.length(0), 0);
  await asWanted('after reset');
  await whole(session, first);
  sequences.free(0);
  assert.is(sequences.allocate(), 0);
  await asWanted('after free and allocate');
  await whole(session, first);
  await asWanted('from position 0 again');
  // Back to an earlier position: the rest of the cache must not show.
  await whole(session, first);
  await step(session, [{ sequence: 0, from: 0, ids: second.slice(0, 20) }]);
  const [rest] = await step(session, [{ sequence: 0, from: 20, ids: second.slice(20) }]);
  assert.ok(worstRow(rest!, wanted.subarray(20 * vocab)) <= tolerance, 'over what stood there');
});

test.after(() => model.dispose());
test.run();
