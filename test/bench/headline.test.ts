// The headline comparison at sizes that the interpreter runs, and its bytes against counts by hand.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { countedBytes, paperBytes, weightBytes } from '../../bench/headline/bytes.ts';
import type { Open } from '../../bench/headline/decode.ts';
import { planPasses } from '../../bench/headline/passes.ts';
import {
  headlineModel,
  type Kind,
  kinds,
  type Shapes,
  shapes151m,
  tokenFlops,
  weightCount,
} from '../../bench/headline/shapes.ts';
import { measureHeadline } from '../../bench/parts/headline.ts';
import type { CpuPlan } from '../../bench/step-bytes.ts';
import { fusedGraph, trace, translate } from '../../src/compile.ts';
import { loadInterpreted } from '../../src/interpret-engine.ts';
import { Session } from '../../src/runtime/index.ts';

const test = suite('headline');

const tiny: Shapes = {
  ...{ name: 'tiny', width: 64, layers: 3, heads: 2, vocab: 64 },
  moe: { experts: 8, kept: 2, inner: 24 },
  memory: {
    placement: '0:1/2:2',
    ...{ knum: 6, kdim: 8, vdim: 8, knn: 3, heads: 2, rank: 2, cores: 2, expansion: 4 },
  },
};
const { width: D, layers: L, vocab, moe, memory } = tiny;

const openInterpreted: Open = async (model, weights, sequences) => {
  const loaded = await loadInterpreted(fusedGraph(trace(model), { precision: 'bf16' }), weights);
  const session = new Session(loaded.openEngine({ S: sequences }));
  return { session, dispose: () => session.dispose() };
};

const choices = {
  ...{ shapes: tiny, open: openInterpreted },
  openBandwidth: async () => ({ measure: async () => 1e9, dispose: () => {} }),
};

const settings = {
  ...{ threads: [1], tokens: [], batches: [1, 4], lengths: [3, 5], rounds: 2, seconds: 0.001 },
  progress: () => {},
};

const caches = (length: number, batch: number): number => 4 * 2 * L * D * (length - 1) * batch;

test('a run gives times, choices and bytes of every length, batch and decoder', async () => {
  const { results, markdown } = await measureHeadline(settings, { ...choices, room: 1e9 });
  assert.equal(
    results.rates.map(({ length, batch, kind }) => [length, batch, kind]),
    [3, 5].flatMap((length) => [1, 4].flatMap((batch) => kinds.map((kind) => [length, batch, kind]))),
  );
  for (const { kind, length, batch, together, milliseconds, rounds, distinct, bytes, bandwidth } of results.rates) {
    assert.ok(together && milliseconds > 0 && rounds.length === 2 && bandwidth === 1e9);
    assert.is(bytes.states, caches(length, batch));
    const names = { dense: [], moe: [0, 1, 2].map((n) => `block${n}_experts`), ultramem: ['mem0_slots', 'mem1_slots'] }[
      kind
    ];
    assert.equal(Object.keys(distinct), names);
    const each = { dense: 0, moe: moe.kept, ultramem: memory.heads * memory.knn }[kind];
    for (const count of Object.values(distinct)) {
      // Two heads may choose the same row, and so may tokens; all of them do not.
      assert.ok(count > (batch === 1 ? each / 2 : each) - 1e-9 && count <= batch * each, `${kind} ${batch}: ${count}`);
    }
  }
  assert.match(markdown, /### Length 3\n.*### Length 5\n/s);
  assert.equal(results.skipped, []);
});

test('what memory cannot hold is said, with the figure', async () => {
  const room = Math.max(...kinds.map((kind) => weightBytes(tiny, kind))) + 2 * 2 * L * D * 3 * 4;
  const { results, markdown } = await measureHeadline({ ...settings, lengths: [3], rounds: 1 }, { ...choices, room });
  assert.equal(
    results.rates.map(({ batch, together }) => [batch, together]),
    kinds.map(() => [1, false]),
  );
  assert.equal(
    results.skipped.map(({ batch }) => batch),
    [4],
  );
  assert.match(markdown, /Batch 4 left out: 4 sequences take 0\.0 GB of caches/);
  assert.match(markdown, /Batch 1: one decoder after another/);
});

test('passes: together where all fit, alone where one does', () => {
  const needs = { weights: { dense: 1, moe: 10, ultramem: 10 }, sequence: 2, room: 45 };
  assert.equal(planPasses([1, 4, 16, 64], needs), {
    passes: [{ kinds, batches: [1, 4] }, ...kinds.map((kind) => ({ kinds: [kind], batches: [16] }))],
    skipped: [{ batch: 64, why: '64 sequences take 0.0 GB of caches beside 0.0 GB of weights; 0.0 GB are free' }],
  });
});

test('bytes of a step, counted by hand', () => {
  const [length, batch] = [5, 4];
  const counted = (kind: Kind, distinct: Readonly<Record<string, number>>) => {
    const plan = translate(headlineModel(tiny, kind, length, 4), { precision: 'bf16' }).plan as CpuPlan;
    return countedBytes(plan, batch, length, distinct);
  };
  // Norms are f32: two of D a block and one at the end, two of a head's width a block.
  const norms = 4 * (2 * L * D + D + 2 * L * (D / 2));
  const attention = 2 * 4 * D * D * L;
  const logits = 2 * vocab * D;
  const embedded = 2 * batch * D;
  const dense = 2 * 8 * D * D * L;
  assert.equal(counted('dense', {}), {
    weights: norms + attention + dense + logits,
    rows: embedded,
    states: caches(length, batch),
  });
  const experts = { block0_experts: 5, block1_experts: 6, block2_experts: 7.5 };
  const mixture = counted('moe', experts);
  // A token's kept keys of the router are read exactly besides; all of them at 4 tokens that keep 2 of 8.
  assert.is(mixture.rows, embedded + 2 * (5 + 6 + 7.5) * 2 * D * moe.inner + 2 * L * moe.experts * D);
  assert.ok(mixture.weights > norms + attention + logits);
  const { knum, kdim, vdim, knn, heads, rank, expansion } = memory;
  const memories = counted('ultramem', { mem0_slots: 20, mem1_slots: 22 });
  const keys = heads * 2 * knum; // both heads of a side; 4 tokens that keep 3 of 12 may read all
  const exact = 2 * (2 * keys * kdim + 2 * keys * rank * kdim) + 4 * batch * heads * knn;
  assert.is(memories.rows, embedded + 2 * (20 + 22) * vdim + 2 * exact);
  assert.ok(memories.weights > norms + attention + dense + logits + 2 * 2 * (2 * kdim * D + expansion * vdim * D));
  assert.is(memories.states, caches(length, batch));
});

test('the account of the paper, and the sizes of the 151M set', () => {
  const gigabytes = (kind: Kind, batch: number): number =>
    Number((paperBytes(shapes151m, kind, batch) / 1e9).toPrecision(4));
  assert.is(gigabytes('dense', 64), 0.2013); // 8·1024²·12 numbers of 2 bytes
  assert.is(gigabytes('moe', 1), 0.2485); // 2 of 32
  assert.is(gigabytes('moe', 64), 3.976); // 12·32·2·1024·2528 numbers
  assert.is(gigabytes('ultramem', 64), 0.2178); // and 3·84·64 rows of 512
  const sizes = kinds.map((kind) => [weightCount, tokenFlops].map((of) => (of(shapes151m, kind) / 1e9).toFixed(2)));
  assert.equal(sizes, [
    ['0.15', '0.30'],
    ['2.04', '0.35'],
    ['2.03', '0.35'],
  ]);
});

test.run();
