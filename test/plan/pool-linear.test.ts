// Pooling and its projection are one launch where many tokens run, and two wherever something else wants what was pooled.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import layer from '../../examples/layer.ts';
import { translate } from '../../src/compile.ts';
import type { CpuPlan } from '../../src/plan/plans.ts';

const test = suite('plan: pooling with its projection');
const small = layer({ name: 'small', config: { hidden_size: 32, knum: 8, kdim: 8, vdim: 16, knn: 4, head: 2 } });

const kernels = (plan: CpuPlan, variant: string): readonly string[] =>
  plan.variants.find(({ name }) => name === variant)!.launches.map(({ kernel }) => kernel);
const tail = (plan: CpuPlan, variant: string): readonly string[] => kernels(plan, variant).slice(-2);

test('many tokens: one launch, which names both', () => {
  const plan = translate(small).plan as CpuPlan;
  assert.equal(tail(plan, 'many'), ['rescore_topk', 'pool_linear']);
  const launch = plan.variants.find(({ name }) => name === 'many')!.launches.at(-1)!;
  assert.match(launch.computes, /gather_pool.*; .*einsum/);
  const { N, D, R, C, G, out } = launch.constants as Record<string, number>;
  assert.equal([N, D, R, C, G, out], [64, 16, 8, 2, 4, 32]);
});

test('few tokens: two launches, whose products are cut by columns', () => {
  const plan = translate(small).plan as CpuPlan;
  for (const variant of ['one', 'few']) assert.equal(tail(plan, variant), ['gather_pool', 'linear']);
});

test('two launches where what was pooled is an output', () => {
  const plan = translate(small, { taps: true }).plan as CpuPlan;
  assert.ok(kernels(plan, 'many').includes('gather_pool'));
  assert.not(kernels(plan, 'many').includes('pool_linear'));
});

test.run();
