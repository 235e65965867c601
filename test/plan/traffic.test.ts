// Bytes and operations of the CPU's launches: worked out by hand, against the costs of the ops they compute, and against the account
// of bytes that the benchmarks keep.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { stepBytes } from '../../bench/step-bytes.ts';
import bytesLm from '../../examples/bytes-lm/model.ts';
import layer from '../../examples/layer.ts';
import relatives from '../../examples/relatives.ts';
import { translate } from '../../src/compile.ts';
import { workOf } from '../../src/inspect.ts';
import { operandsOf, trafficOf } from '../../src/plan/kernels/traffic.ts';
import { makePlan } from '../../src/plan/plan.ts';
import type { CpuPlan } from '../../src/plan/plans.ts';
import type { StepShape, Traffic } from '../../src/plan/traffic.ts';
import type { AnyLaunch, Variant } from '../../src/plan/types.ts';
import { UltramemError } from '../../src/support/errors.ts';
import { f32, GraphDraft, i32 } from '../graph-draft.ts';
import { cases } from '../ops/cases.ts';

const test = suite('plan: traffic of launches on the CPU');

const variantFor = ({ variants }: CpuPlan, tokens: number): Variant<AnyLaunch> =>
  variants.find(({ maxTokens }) => maxTokens >= tokens)!;

/** Traffic of every launch of a step, by kernel. */
function trafficsOf(graph: GraphDraft, step: StepShape): Readonly<Record<string, Traffic>> {
  const { launches } = variantFor(makePlan(graph.build()), step.tokens);
  return Object.fromEntries(launches.map((launch) => [launch.kernel, trafficOf(launch, step)]));
}

test('a product reads x and its packed weight once and writes y', () => {
  const g = new GraphDraft('product');
  const y = g.node('einsum', [g.input('x', f32('T', 64)), g.weight('w', f32(96, 64))], { equation: 'tk,nk->tn' });
  const { linear } = trafficsOf(g.output('y', y), { tokens: 5, runs: [] });
  const panels = 2 * 64 * 64; // of 64 columns
  assert.equal(linear, { bytesRead: 4 * (5 * 64 + panels), bytesWritten: 4 * 5 * 96, flops: 2 * 5 * 96 * 64 });
});

test('a pooled gather reads the rows that its slots choose, not the table', () => {
  const g = new GraphDraft('pool');
  const inputs = [g.weight('table', f32(1000, 8)), g.input('slot', i32('T', 4), 2000), g.input('s', f32('T', 4, 2))];
  const y = g.node('gather_pool', inputs, { groups: 2 });
  const { gather_pool } = trafficsOf(g.output('y', y), { tokens: 3, runs: [] });
  const read = 3 * 4 * 8 + 3 * 4 + 3 * 4 * 2;
  assert.equal(gather_pool, { bytesRead: 4 * read, bytesWritten: 4 * 3 * 2 * 8, flops: 2 * 3 * 4 * 8 });
});

test('attention reads the positions that its tokens see', () => {
  const g = new GraphDraft('attention');
  const [q, k, v] = [g.input('q', f32('T', 4, 8)), g.input('k', f32('T', 2, 8)), g.input('v', f32('T', 2, 8))];
  const places = [g.input('positions', i32('T'), 300), g.input('sequence', i32('T'), 'S')];
  const caches = [g.state('kc', f32('S', 300, 2, 8)), g.state('vc', f32('S', 300, 2, 8))];
  const y = g.node('attention', [q, k, v, ...places, ...caches], { scale: 0.5 });
  const runs = [
    { position: 129, tokens: 1 },
    { position: 10, tokens: 2 },
  ];
  const { attention } = trafficsOf(g.output('y', y), { tokens: 3, runs });
  const row = 2 * 8;
  assert.equal(attention, {
    bytesRead: 4 * (3 * 32 + 2 * 3 * row + 3 + 3 + 2 * (130 + 12) * row),
    bytesWritten: 4 * (2 * 3 * row + 3 * 32),
    flops: 4 * (130 + 11 + 12) * 32,
  });
});

test('the pooling that is joined to its projection computes what both did', () => {
  const model = layer({ name: 'l', config: { hidden_size: 64, knum: 16, kdim: 16, vdim: 32, knn: 8, head: 2 } });
  const plan = translate(model).plan as CpuPlan;
  const flops = (tokens: number, kernels: RegExp): number =>
    variantFor(plan, tokens)
      .launches.filter(({ kernel }) => kernels.test(kernel))
      .reduce((n, launch) => n + trafficOf(launch, { tokens, runs: [] }).flops, 0);
  assert.is(flops(32, /linear|gather_pool/), 2 * flops(16, /linear|gather_pool/));
  assert.ok(variantFor(plan, 32).launches.some(({ kernel }) => kernel === 'pool_linear'));
});

/** Models, and comparisons that the cost of their graph counts as operations: those of a router's choice among 8 experts. */
for (const [model, comparisons] of [
  [bytesLm, 0],
  [relatives, 8],
] as const) {
  test(`operations of a step of ${model.name} are those of its graph`, () => {
    const { fused, plan } = translate(model);
    const context = fused.inputs.find(({ id }) => id === 'positions')!.below as number;
    const step = { tokens: 1, runs: [{ position: context - 1, tokens: 1 }] };
    const flops = variantFor(plan as CpuPlan, 1).launches.reduce((n, launch) => n + trafficOf(launch, step).flops, 0);
    assert.is(flops, workOf(fused).flops - comparisons);
  });

  for (const tokens of [1, 8]) {
    test(`weights and rows of ${model.name} at T = ${tokens} are those that the benchmarks count`, () => {
      const plan = translate(model).plan as CpuPlan;
      const { launches, buffers } = variantFor(plan, tokens);
      const spaces = new Map(buffers.map(({ name, space }) => [name, space]));
      const step = { tokens, runs: Array.from({ length: tokens }, () => ({ position: 40, tokens: 1 })) };
      const counted = { weights: 0, rows: 0 };
      for (const { view, bytesRead, whole, partly } of launches.flatMap((launch) => operandsOf(launch, step))) {
        if (!['weight', 'prepared'].includes(spaces.get(view.buffer)!)) continue;
        counted[partly ? 'rows' : 'weights'] += Math.min(whole, bytesRead);
      }
      const { weights, rows } = stepBytes(plan, { tokens, position: 40 });
      assert.equal(counted, { weights, rows });
    });
  }
}

test('every kernel of every op has figures', () => {
  for (const { graph } of cases) {
    try {
      for (const { launches, maxTokens } of makePlan(graph).variants) {
        for (const launch of launches) {
          const traffic = trafficOf(launch, { tokens: maxTokens, runs: [{ position: 0, tokens: maxTokens }] });
          for (const [figure, value] of Object.entries(traffic))
            assert.ok(Number.isSafeInteger(value) && value >= 0, `${launch.kernel}: ${figure} is ${value}`);
        }
      }
    } catch (error) {
      if (!(error instanceof UltramemError && error.code === 'unsupported-shape')) throw error;
    }
  }
});

test.run();
