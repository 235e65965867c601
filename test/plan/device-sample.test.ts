// Sampling in the plan of a device: one launch behind the steps of a model with logits, none for other models and targets.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import bytesLm from '../../examples/bytes-lm/model.ts';
import layer from '../../examples/layer.ts';
import { translate } from '../../src/compile.ts';
import { makeDevicePlan } from '../../src/plan/plan.ts';
import type { DevicePlan } from '../../src/plan/plans.ts';
import { f32, GraphDraft } from '../graph-draft.ts';

const test = suite('plan: sampling on a device');

test('a language model: one launch, a block for each token that a step may have', () => {
  const { plan, files } = translate(bytesLm, { target: 'simt' });
  const { sample, variants } = plan as DevicePlan;
  assert.equal(
    sample?.launches.map(({ kernel, constants, grid }) => [kernel, constants, grid]),
    [['sample', [257, 257], [512, 1, 1]]],
  );
  assert.not(variants.some(({ launches }) => launches.some(({ kernel }) => kernel === 'sample')));
  assert.equal(
    sample?.buffers.map(({ space, holds, bytes }) => [space, holds, bytes]),
    [
      ['output', 'f32[T,257]', 512 * 257 * 4],
      ['choices', 'i64[T,6]', 512 * 48],
      ['chosen', 'i32[T]', 512 * 4],
    ],
  );
  assert.match(files.get('step_sample.cu')!, /the choice of 1 to 512 tokens.*\(model\.ts:\d+:\d+\)/s);
  assert.match(files.get('plan.txt')!, /^sample, T 1…512: 1 launches/m);
  assert.match(files.get('simt.cc')!, 'simt::kernel<sample_0_sample>');
});

test('whoever has no logits, or runs on the CPU, samples nothing', () => {
  const config = { hidden_size: 32, knum: 8, kdim: 8, vdim: 16, knn: 4, head: 2 };
  for (const { plan, files } of [
    translate(bytesLm),
    translate(layer({ name: 'no-logits', config }), { target: 'simt' }),
  ]) {
    assert.is(plan.sample, undefined);
    assert.not([...files.keys()].some((path) => path.includes('sample')));
    assert.not.match(files.get('model.cc')!, 'step_sample');
  }
  const g = new GraphDraft('rank-three');
  const [y] = g.all('unary', [g.input('x', f32('T', 4, 2))], { fn: 'neg' });
  assert.is(makeDevicePlan(g.output('logits', y!).build()).sample, undefined, 'logits are rows');
});

test.run();
