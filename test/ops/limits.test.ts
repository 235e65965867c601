// A memory layer as large as the kernels of a device hold: every limit is served, and one beyond is refused by its name.

import { model } from 'ultramem';
import { ultramemV1 } from 'ultramem/models';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Model, trace, translate } from '../../src/compile.ts';
import { openModel } from '../../src/open-model.ts';
import type { DevicePlan } from '../../src/plan/plans.ts';
import { elements, type Tensor } from '../../src/support/tensor.ts';
import '../build-folder.ts';
import { UltramemError } from '../../src/support/errors.ts';
import { Random } from '../random.ts';
import { seed } from '../settings.ts';

const test = suite('limits of a device');

const most = { knn: 256, rank: 8, cores: 8, expansion: 16, heads: 8 };

const layer = (sizes: typeof most): Model =>
  model('limits', (m) => {
    const x = m.input('x', [m.symbol('T', { bound: 2 }), 24]);
    m.output('y', ultramemV1(m, x, { width: 24, knum: 80, kdim: 12, vdim: 144, ...sizes }));
  });

test('m = 256, r = 8, h = 8, E = 16 and H = 8 at once, in three launches, agree with the interpreter', async () => {
  const largest = layer(most);
  for (const { launches, name } of (translate(largest, { target: 'simt' }).plan as DevicePlan).variants) {
    const retrieval = launches.map(({ kernel }) => kernel).filter((kernel) => /score|pool|merge/.test(kernel));
    assert.is(retrieval.length, 3, `${name}: ${retrieval}`);
  }
  const random = new Random(seed, 'limits');
  const weights = Object.fromEntries(
    trace(largest).weights.map(({ name, type }): [string, Tensor] => {
      const shape = type.shape as number[];
      const slots = type.dtype === 'i32' ? random.permutation(shape[0]!) : undefined;
      return [name, slots ?? random.f32(shape, () => 0.5 * random.normal())];
    }),
  );
  for (const T of [1, 2]) {
    const x = random.f32([T, 24]);
    const results: Tensor[] = [];
    for (const target of ['interpreter', 'simt'] as const) {
      await using session = await openModel(largest, weights, { target, maxSequences: 1 });
      results.push((await session.forward({ x })).y!);
    }
    const [wanted, got] = results.map(({ data }) => Array.from(data, Number)) as [number[], number[]];
    assert.is(wanted.length, elements([T, 24]));
    const norm = (values: readonly number[]): number => Math.hypot(...values);
    const error = norm(wanted.map((value, i) => value - got[i]!)) / norm(wanted);
    assert.ok(error <= 1e-5, `T = ${T}: ${error}`);
  }
});

for (const [attribute, sizes, limit] of [
  ['k', { knn: 257 }, 256],
  ['r', { rank: 9 }, 8],
  ['h', { cores: 9 }, 8],
  ['groups', { expansion: 25 }, 16],
] as const) {
  test(`beyond ${attribute} = ${limit} no device serves it, and the error says so`, () => {
    try {
      translate(layer({ ...most, ...sizes }), { target: 'cuda' });
    } catch (error) {
      assert.instance(error, UltramemError);
      const { code, message, facts } = error as UltramemError;
      assert.is(code, 'unsupported-shape');
      assert.match(message, `${attribute} must be at most ${limit}, got ${limit === 16 ? 25 : limit + 1}`);
      assert.is(facts.attribute, attribute);
      assert.match(message, /\(limits\.test\.ts:\d+:\d+\)/);
      return;
    }
    assert.unreachable('planned');
  });
}

test.run();
