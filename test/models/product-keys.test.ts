// PKM and PEER on the interpreter, the CPU and simulated kernels, against plain loops over all rows; and what is refused.

import { DiagnosticsError, type Model, model, trace } from 'ultramem';
import { type PkmOptions, peer, pkm } from 'ultramem/models';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openModel } from '../../src/open-model.ts';
import type { Tensor } from '../../src/support/tensor.ts';
import '../build-folder.ts';
import { inLanes } from '../lanes.ts';
import { Random } from '../random.ts';
import { seed } from '../settings.ts';
import { naivePeer, naivePkm } from './naive-product-keys.ts';

const test = suite('preset: product keys');
const base: PkmOptions = { width: 12, knum: 7, kdim: 5, knn: 4, heads: 2 };
const layers = { pkm: { layer: pkm, naive: naivePkm }, peer: { layer: peer, naive: naivePeer } };
const tokens = 6;

const modelOf = (name: keyof typeof layers, options: PkmOptions): Model =>
  model(`${name}-layer`, (m) => {
    const x = m.input('x', [m.symbol('T'), options.width]);
    m.output('y', layers[name].layer(m, x, options));
  });

function weightsOf(of: Model, random: Random): Map<string, Tensor> {
  const positive = (name: string) => (name.endsWith('running_var') ? () => 0.5 + random.uniform() : undefined);
  return new Map(
    trace(of).weights.map(({ name, type }) => [name, random.f32(type.shape as number[], positive(name))] as const),
  );
}

const compiled = ['cpu', 'simt'] as const;
const cases: readonly [string, keyof typeof layers, Partial<PkmOptions>, readonly ('cpu' | 'simt')[]][] = [
  ['pkm', 'pkm', {}, compiled],
  ['pkm without a norm', 'pkm', { queryNorm: false }, []],
  ['pkm of one head and one row', 'pkm', { heads: 1, knn: 1 }, ['cpu']],
  ['pkm that keeps all keys', 'pkm', { knn: 7 }, ['cpu']],
  ['peer', 'peer', {}, compiled],
  ['peer of many heads', 'peer', { heads: 5, knn: 3, eps: 1e-3 }, ['cpu']],
];
const runs = cases.flatMap(([title, name, options, targets]) =>
  (['interpreter', ...targets] as const).map((target) => ({ title, name, options: { ...base, ...options }, target })),
);

const errors = inLanes(
  runs.map(({ title, name, options, target }) => async () => {
    const layer = modelOf(name, options);
    const random = new Random(seed, title);
    const weights = weightsOf(layer, random);
    const x = random.f32([tokens, options.width]);
    await using session = await openModel(layer, Object.fromEntries(weights), { target, maxSequences: 1 });
    const { y } = await session.forward({ x });
    const rows = Array.from({ length: tokens }, (_, t) => [
      ...x.data.subarray(t * options.width, (t + 1) * options.width),
    ]);
    const wanted = layers[name].naive(options, weights, rows).flat();
    assert.is(y!.data.length, wanted.length);
    const square = (values: readonly number[]) => Math.sqrt(values.reduce((sum, v) => sum + v * v, 0));
    return square(wanted.map((value, i) => value - Number(y!.data[i]))) / square(wanted);
  }),
);
for (const [i, { title, target }] of runs.entries()) {
  test(`${title}, ${target}`, async () => {
    const error = await errors(i);
    assert.ok(error < 1e-5, `relative l2 error ${error}`);
  });
}

for (const name of ['pkm', 'peer'] as const) {
  test(`refuses ${name} of bad sizes`, () => {
    for (const options of [{ knum: 0 }, { knn: 8 }, { heads: 1.5 }]) {
      assert.throws(
        () => trace(modelOf(name, { ...base, ...options })),
        (error: unknown) => error instanceof DiagnosticsError && error.diagnostics.length >= 1,
      );
    }
  });
}

test.run();
