// A memory layer on a device: few launches, parts that cover the keys, and limits that say what they are.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import layer from '../../examples/layer.ts';
import { translate } from '../../src/compile.ts';
import type { DeviceLaunch } from '../../src/plan/device/launch.ts';
import { makeDevicePlan } from '../../src/plan/plan.ts';
import type { DevicePlan } from '../../src/plan/plans.ts';
import { UltramemError } from '../../src/support/errors.ts';
import { f32, GraphDraft } from '../graph-draft.ts';

const test = suite('plan: retrieval on a device');

const paperLike = layer({
  name: 'paper-like',
  config: { hidden_size: 1024, knum: 512, kdim: 192, vdim: 192, knn: 32, head: 2 },
});
const planOf = (taps: boolean) => translate(paperLike, { target: 'simt', taps }).plan as DevicePlan;
const retrieval = (launches: readonly DeviceLaunch[]): string[] =>
  launches.map(({ kernel }) => kernel).filter((kernel) => /score|rescore|pool/.test(kernel));

test('a memory layer retrieves in three launches, whatever the number of tokens', () => {
  for (const { name, launches } of planOf(false).variants) {
    const scores = name === 'one' ? 'score_topk_one_pair' : 'score_topk_tile_pair';
    assert.equal(retrieval(launches), [scores, 'rescore_topk', 'gather_pool'], name);
  }
});

test('what others read is still written', () => {
  for (const { name, launches } of planOf(true).variants) {
    assert.is(retrieval(launches).filter((kernel) => kernel === 'score_topk_merge').length, 2, name);
  }
});

test('a selection that no block can hold is refused, with the limit', () => {
  const g = new GraphDraft('wide');
  const [values, index] = g.all('topk', [g.input('x', f32('T', 1000))], { k: 257 });
  const graph = g.output('values', values!).output('index', index!).build();
  try {
    makeDevicePlan(graph);
    assert.unreachable('planned');
  } catch (error) {
    assert.instance(error, UltramemError);
    assert.is((error as UltramemError).code, 'unsupported-shape');
    assert.match((error as UltramemError).message, 'k must be at most 256, got 257');
  }
});

test.run();
