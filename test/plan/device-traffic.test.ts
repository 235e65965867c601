// Bytes that launches must move, and their operations: worked out by hand, and against the costs of the ops they compute.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import bytesLm from '../../examples/bytes-lm/model.ts';
import layer from '../../examples/layer.ts';
import { translate } from '../../src/compile.ts';
import { workOf } from '../../src/inspect.ts';
import type { Graph } from '../../src/ir/index.ts';
import type { DeviceLaunch } from '../../src/plan/device/launch.ts';
import { knownKernels, leastTraffic, trafficOf } from '../../src/plan/device/traffic.ts';
import { makeDevicePlan } from '../../src/plan/plan.ts';
import type { DevicePlan } from '../../src/plan/plans.ts';
import type { StepShape, Traffic } from '../../src/plan/traffic.ts';
import type { Variant } from '../../src/plan/types.ts';
import { UltramemError } from '../../src/support/errors.ts';
import { f32, GraphDraft, i32 } from '../graph-draft.ts';
import { cases } from '../ops/cases.ts';
import { throughNarrow } from '../ops/narrow.ts';

const test = suite('plan: traffic of launches');

const variantFor = (plan: DevicePlan, tokens: number): Variant<DeviceLaunch> =>
  plan.variants.find(({ maxTokens }) => maxTokens >= tokens)!;

/** Traffic of every launch of a step, by kernel. */
function trafficsOf(graph: Graph, step: StepShape): Readonly<Record<string, Traffic>> {
  const { launches } = variantFor(makeDevicePlan(graph), step.tokens);
  return Object.fromEntries(launches.map((launch) => [launch.kernel, trafficOf(launch, step)]));
}

const paperLikeModel = layer({
  name: 'paper-like',
  config: { hidden_size: 1024, knum: 512, kdim: 192, vdim: 192, knn: 32, head: 2 },
});
const paperLike = translate(paperLikeModel, { target: 'simt' });

test('a product reads x and w once and writes y', () => {
  const g = new GraphDraft('product');
  const y = g.node('einsum', [g.input('x', f32('T', 64)), g.weight('w', f32(32, 64))], { equation: 'tk,nk->tn' });
  const { linear_few } = trafficsOf(g.output('y', y).build(), { tokens: 5, runs: [] });
  assert.equal(linear_few, { bytesRead: 4 * (5 * 64 + 32 * 64), bytesWritten: 4 * 5 * 32, flops: 2 * 5 * 32 * 64 });
});

test('products side by side read each their own part of x', () => {
  const g = new GraphDraft('heads');
  const x = g.input('x', f32('T', 4, 64));
  const y = g.node('einsum', [x, g.weight('w', f32(4, 32, 64))], { equation: 'thk,hnk->thn' });
  const { linear_few } = trafficsOf(g.output('y', y).build(), { tokens: 5, runs: [] });
  assert.equal(linear_few, { bytesRead: 4 * (5 * 64 + 32 * 64), bytesWritten: 4 * 5 * 32, flops: 2 * 5 * 32 * 64 });
});

test('a pooled gather reads the rows that its slots choose, not the table', () => {
  const g = new GraphDraft('pool');
  const inputs = [g.weight('table', f32(1000, 8)), g.input('slot', i32('T', 4), 2000), g.input('s', f32('T', 4, 2))];
  const y = g.node('gather_pool', inputs, { groups: 2 });
  const { gather_pool } = trafficsOf(g.output('y', y).build(), { tokens: 3, runs: [] });
  const read = 3 * 4 * 8 + 3 * 4 + 3 * 4 * 2;
  assert.equal(gather_pool, { bytesRead: 4 * read, bytesWritten: 4 * 3 * 2 * 8, flops: 2 * 3 * 4 * 8 });
});

test('an operand that is read under two names moves once', () => {
  const g = new GraphDraft('square');
  const x = g.input('x', f32('T', 64));
  const { elementwise } = trafficsOf(g.output('y', g.node('binary', [x, x], { fn: 'mul' })).build(), {
    tokens: 2,
    runs: [],
  });
  assert.equal(elementwise, { bytesRead: 512, bytesWritten: 512, flops: 128 });
});

test('attention reads the positions that its tokens see, and writes as many partial results', () => {
  const g = new GraphDraft('attention');
  const [q, k, v] = [g.input('q', f32('T', 4, 8)), g.input('k', f32('T', 2, 8)), g.input('v', f32('T', 2, 8))];
  const places = [g.input('positions', i32('T'), 300), g.input('sequence', i32('T'), 'S')];
  const caches = [g.state('kc', f32('S', 300, 2, 8)), g.state('vc', f32('S', 300, 2, 8))];
  const graph = g.output('y', g.node('attention', [q, k, v, ...places, ...caches], { scale: 0.5 })).build();
  // Two sequences: one token that sees 130 positions, in two parts of 128; two that see 11 and 12, in one.
  const runs = [
    { position: 129, tokens: 1 },
    { position: 10, tokens: 2 },
  ];
  const few = trafficsOf(graph, { tokens: 3, runs });
  const [row, parts] = [2 * 8, 4 * (2 + 1 + 1) * (8 + 2)];
  assert.equal(few.attention_append, {
    bytesRead: 4 * (2 * 3 * row + 3 + 3),
    bytesWritten: 4 * 2 * 3 * row,
    flops: 0,
  });
  assert.equal(few.attention_parts, {
    bytesRead: 4 * (3 * 32 + 3 + 3 + 2 * (130 + 12) * row),
    bytesWritten: 4 * parts,
    flops: 4 * (130 + 11 + 12) * 32,
  });
  assert.equal(few.attention_merge, { bytesRead: 4 * (parts + 3), bytesWritten: 4 * 3 * 32, flops: 2 * parts });
  const many = trafficsOf(graph, { tokens: 20, runs: [{ position: 0, tokens: 20 }] });
  assert.equal(many.attention_tiles, {
    bytesRead: 4 * (20 * 32 + 20 + 20 + 2 * 20 * row),
    bytesWritten: 4 * 20 * 32,
    flops: 4 * ((20 * 21) / 2) * 32,
  });
});

test('a convolution touches the windows of its sequences, none before a first token', () => {
  const g = new GraphDraft('conv');
  const inputs = [g.input('x', f32('T', 8)), g.weight('w', f32(8, 4))];
  const places = [g.input('positions', i32('T'), 300), g.input('sequence', i32('T'), 'S')];
  const y = g.node('causal_conv', [...inputs, ...places, g.state('window', f32('S', 3, 8))], {});
  const graph = g.output('y', y).build();
  const own = 3 * 8 + 8 * 4 + 3 + 3;
  const step = (position: number) => ({
    tokens: 3,
    runs: [
      { position, tokens: 2 },
      { position: 0, tokens: 1 },
    ],
  });
  const written = 4 * (2 * 3 * 8 + 3 * 8);
  const flops = 2 * 3 * 8 * 4;
  assert.equal(trafficsOf(graph, step(0)).causal_conv, { bytesRead: 4 * own, bytesWritten: written, flops });
  assert.equal(trafficsOf(graph, step(5)).causal_conv, {
    bytesRead: 4 * (own + 3 * 8),
    bytesWritten: written,
    flops,
  });
});

test('retrieval of one token: folded keys, m·r key rows a side and head, m·H value rows, and the lists between', () => {
  const { launches } = variantFor(paperLike.plan as DevicePlan, 1);
  const of = (kernel: string) => trafficOf(launches.find((l) => l.kernel === kernel)!, { tokens: 1, runs: [] });
  const [H, n, Dk, m, r, h, parts, Dv, E] = [2, 1024, 192, 32, 2, 2, 16, 192, 4];
  const lists = 2 * H * parts * m * 8;
  assert.equal(of('score_topk_one_pair'), {
    bytesRead: 4 * 2 * (Dk + H * n * Dk),
    bytesWritten: lists,
    flops: 2 * 2 * H * n * Dk,
  });
  assert.equal(of('rescore_topk'), {
    bytesRead: lists + 4 * (2 * Dk + 2 * H * m * r * Dk + H * h * r * r + H * m),
    bytesWritten: 4 * (H * m + H * m * h),
    flops: 4 * H * m * r * Dk + 2 * H * m * r * h * (r + m),
  });
  assert.equal(of('gather_pool'), {
    bytesRead: 4 * (H * m * Dv + H * m + H * m * h),
    bytesWritten: 4 * E * Dv,
    flops: 2 * H * m * Dv,
  });
});

test('what is stored as bf16 takes two bytes', () => {
  const model = layer({ name: 'narrow', config: { hidden_size: 64, knum: 16, kdim: 16, vdim: 32, knn: 8, head: 2 } });
  const of = (precision: 'f32' | 'bf16') => {
    const { launches } = variantFor(translate(model, { target: 'simt', precision }).plan as DevicePlan, 1);
    const launch = launches.find(({ kernel }) => kernel === 'gather_pool')!;
    return trafficOf(launch, { tokens: 1, runs: [] });
  };
  const [H, m, h, Dv] = [2, 8, 2, 32];
  const rows = H * m * Dv;
  assert.is(of('f32').bytesRead, 4 * (rows + H * m + H * m * h));
  assert.is(of('bf16').bytesRead, 2 * rows + 4 * (H * m + H * m * h));
  assert.is(of('f32').flops, of('bf16').flops);
});

test('as one launch: nothing between, and of a table no more than all of it', () => {
  const { launches, buffers } = variantFor(paperLike.plan as DevicePlan, 512);
  const own = launches.filter(({ kernel }) => /score|rescore|pool/.test(kernel));
  const arena = new Set(buffers.filter(({ space }) => space === 'arena').map(({ name }) => name));
  const between = leastTraffic(own, (buffer) => arena.has(buffer), { tokens: 512, runs: [] });
  const [H, n, Dk, m, r, h, Dv] = [2, 1024, 192, 32, 2, 2, 192];
  // 512 tokens choose 16,384 of 1024 keys; of the 2^18 value rows they choose 32,768.
  const keys = 2 * H * n * Dk + 2 * H * n * r * Dk;
  assert.equal(between, {
    bytesRead: 4 * (keys + H * h * r * r + 512 * m * H * (Dv + 1)),
    bytesWritten: 0,
  });
});

test('operations of a step are those of its graph', () => {
  const { fused, plan } = translate(bytesLm, { target: 'simt' });
  const context = fused.inputs.find(({ id }) => id === 'positions')!.below as number;
  const step = { tokens: 1, runs: [{ position: context - 1, tokens: 1 }] };
  // Merging what parts of a cache gave is the device's own work.
  const launches = variantFor(plan as DevicePlan, 1).launches.filter(({ kernel }) => kernel !== 'attention_merge');
  const flops = launches.reduce((n, launch) => n + trafficOf(launch, step).flops, 0);
  assert.is(flops, workOf(fused).flops);
});

test('every kernel that plans launch has its rule, and every rule its kernel', () => {
  const plans = cases
    .flatMap(({ graph }) => [graph, throughNarrow(graph)])
    .flatMap((graph) => {
      try {
        return [makeDevicePlan(graph)];
      } catch (error) {
        if (error instanceof UltramemError && error.code === 'unsupported-shape') return [];
        throw error;
      }
    });
  const met = new Set<string>();
  const narrow = [paperLikeModel, bytesLm].map(
    (model) => translate(model, { target: 'simt', precision: 'bf16' }).plan as DevicePlan,
  );
  for (const plan of [...plans, paperLike.plan as DevicePlan, ...narrow]) {
    for (const { launches, maxTokens } of plan.variants) {
      for (const launch of launches) {
        met.add(launch.kernel);
        const traffic = trafficOf(launch, { tokens: maxTokens, runs: [{ position: 0, tokens: maxTokens }] });
        for (const [figure, value] of Object.entries(traffic))
          assert.ok(Number.isSafeInteger(value) && value >= 0, `${launch.kernel}: ${figure} is ${value}`);
      }
    }
  }
  assert.equal([...met].sort(), [...knownKernels()].sort());
});

test.run();
