// PKM and PEER on the interpreter, the CPU and simulated kernels, against plain loops over all rows; and what is refused.

import { DiagnosticsError, type Model, model, trace } from 'ultramem';
import { decoder, type OwnFeedForward, type PkmOptions, peer, pkm } from 'ultramem/models';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Interpreter } from '../../src/ir/interpret.ts';
import { openModel } from '../../src/open-model.ts';
import { type Tensor, tensor } from '../../src/support/tensor.ts';
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

test('a decoder whose second block has a memory in place of its feed-forward part decodes as it prefills', () => {
  const options = {
    width: 12,
    layers: 3,
    heads: 2,
    context: 8,
    vocab: 11,
    feedForward: { kind: 'gelu', rows: 20 },
  } as const;
  const own = {
    kind: 'own',
    layer: (m, x, names) => pkm(m, x, { ...base, ...names }),
  } as const satisfies OwnFeedForward;
  const graph = trace(model('pkm-decoder', (m) => decoder(m, { ...options, feedForwardOf: { 1: own } })));
  const names = graph.weights.map(({ name }) => name);
  assert.ok(names.includes('transformer.blocks.1.ff.values.weight'), names.join());
  assert.not(names.includes('transformer.blocks.1.ff_proj.weight'));
  const random = new Random(seed, 'decoder');
  const weights = new Map(
    graph.weights.map(({ name, type }) => [
      name,
      random.f32(type.shape as number[], name.endsWith('running_var') ? () => 1 : undefined),
    ]),
  );
  const interpreter = new Interpreter(graph, { weights, symbols: { S: 1 } });
  const ids = random.i32([5], options.vocab);
  const step = (from: number, to: number): number[] => {
    const of = (value: (i: number) => number) =>
      tensor(
        'i32',
        [to - from],
        Int32Array.from({ length: to - from }, (_, i) => value(from + i)),
      );
    const inputs = { ids: of((i) => ids.data[i]!), positions: of((i) => i), sequence: of(() => 0) };
    return [...(interpreter.step(inputs).outputs.logits!.data as Float32Array)];
  };
  const whole = step(0, 5);
  interpreter.reset();
  const one = [0, 1, 2, 3, 4].flatMap((i) => step(i, i + 1));
  for (const [i, value] of whole.entries()) assert.ok(Math.abs(value - one[i]!) <= 1e-5 * (1 + Math.abs(value)));
});

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
