// Every option of the V1 preset, on the interpreter, against plain loops; and that options that cannot be are refused.

import { DiagnosticsError, model, trace } from 'ultramem';
import { type UltramemV1Options, ultramemV1 } from 'ultramem/models';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Graph } from '../../src/ir/graph.ts';
import { Interpreter } from '../../src/ir/interpret.ts';
import { type Tensor, tensor } from '../../src/support/tensor.ts';
import { Random } from '../random.ts';
import { seed } from '../settings.ts';
import { naiveLayer } from './naive-ultramem-v1.ts';

const test = suite('preset: ultramem-v1');
const lengths = [4, 3]; // tokens of two sequences
const base = { width: 12, knum: 4, kdim: 6, vdim: 12, knn: 3 } as const;

interface Case extends Partial<UltramemV1Options> {
  /** Kernel size of a query convolution. */
  readonly conv?: number;
  /** Weights that the checkpoint lacks. */
  readonly absent?: readonly string[];
}

const cases: Readonly<Record<string, Case>> = {
  'as the reference': {},
  'one of everything': { heads: 1, rank: 1, cores: 1, expansion: 1 },
  'more of everything': { heads: 3, rank: 3, cores: 4, expansion: 9 },
  'all keys kept': { expansion: 1, knn: 4 },
  'no shuffle': { shuffle: false },
  'layer norm': { norm: 'layer', eps: 1e-3 },
  'query per rank': { queryPerRank: true, rank: 3 },
  'query convolution': { conv: 4 },
  'query convolution and per rank': { conv: 2, queryPerRank: true },
  'no stored u and v': { absent: ['tucker_core_u', 'tucker_core_v'], rank: 3 },
};

function graphOf({ conv, absent, ...options }: Case): { graph: Graph; options: UltramemV1Options } {
  let given: UltramemV1Options = { ...base, ...options };
  const graph = trace(
    model('layer', (m) => {
      const T = m.symbol('T');
      const S = m.symbol('S');
      const x = m.input('x', [T, base.width]);
      if (conv !== undefined) {
        const positions = m.input('positions', [T], { dtype: 'i32', below: 16 });
        const sequence = m.input('sequence', [T], { dtype: 'i32', below: S });
        given = { ...given, queryConv: { kernel: conv, positions, sequence } };
      }
      m.output('y', ultramemV1(m, x, given));
    }),
  );
  return { graph, options: given };
}

function weightsOf(graph: Graph, random: Random, absent: readonly string[] = []): Map<string, Tensor> {
  const made = graph.weights
    .filter(({ name }) => !absent.includes(name))
    .map(({ name, type }): [string, Tensor] => {
      const shape = type.shape as number[];
      return [name, type.dtype === 'i32' ? random.permutation(shape[0]!) : random.f32(shape)];
    });
  return new Map(made);
}

for (const [name, options] of Object.entries(cases)) {
  test(name, () => {
    const { graph, options: given } = graphOf(options);
    const random = new Random(seed, name);
    const weights = weightsOf(graph, random, options.absent);
    const x = random.f32([lengths[0]! + lengths[1]!, base.width]);
    const flat = (of: (s: number, p: number) => number) =>
      tensor(
        'i32',
        [x.shape[0]!],
        Int32Array.from(lengths.flatMap((n, s) => Array.from({ length: n }, (_, p) => of(s, p)))),
      );
    const inputs = { x, positions: flat((_, p) => p), sequence: flat((s) => s) };
    const { y } = new Interpreter(graph, { weights, symbols: { S: 2 } }).step(inputs).outputs;
    const rows = Array.from({ length: x.shape[0]! }, (_, t) => [
      ...x.data.subarray(t * base.width, (t + 1) * base.width),
    ]);
    const wanted = lengths.flatMap((n, s) =>
      naiveLayer(given, weights, rows.slice(s * lengths[0]!, s * lengths[0]! + n)),
    );
    const size = Math.sqrt(wanted.flat().reduce((a, b) => a + b * b, 0));
    const difference = Math.sqrt(wanted.flat().reduce((a, b, i) => a + (b - Number(y!.data[i])) ** 2, 0));
    assert.is(y!.data.length, wanted.flat().length);
    assert.ok(difference / size < 1e-5, `relative l2 error ${difference / size}`);
  });
}

test('token by token through the window is the whole sequence at once', () => {
  const { graph } = graphOf({ conv: 3 });
  const random = new Random(seed, 'window');
  const interpreter = new Interpreter(graph, { weights: weightsOf(graph, random), symbols: { S: 1 } });
  const x = random.f32([5, base.width]);
  const step = (from: number, to: number): number[] => {
    const index = (of: (i: number) => number) =>
      tensor(
        'i32',
        [to - from],
        Int32Array.from({ length: to - from }, (_, i) => of(i)),
      );
    const part = tensor('f32', [to - from, base.width], x.data.slice(from * base.width, to * base.width));
    return [
      ...interpreter.step({ x: part, positions: index((i) => from + i), sequence: index(() => 0) }).outputs.y!.data,
    ] as number[];
  };
  const whole = step(0, 5);
  interpreter.reset();
  assert.equal(
    [0, 1, 2, 3, 4].flatMap((p) => step(p, p + 1)),
    whole,
  );
});

test('weights have the reference’s names and shapes', () => {
  const { graph } = graphOf({});
  assert.equal(Object.fromEntries(graph.weights.map(({ name, type }) => [name, type.shape.join()])), {
    'query_proj.weight': '12,12',
    'query_norm.weight': '6',
    keys: '2,2,8,6,2',
    'keys_norm.weight': '6',
    'tucker_core.0': '2,2,2',
    'tucker_core.1': '2,2,2',
    tucker_core_u: '1,2,1,2',
    tucker_core_v: '1,2,1,2',
    shuffle_index: '64',
    values_for_look_up: '16,12',
    'values_proj.weight': '12,48',
  });
});

for (const [name, options] of Object.entries<Partial<UltramemV1Options>>({
  'an expansion that is no square': { expansion: 3 },
  'cores that do not divide a row': { cores: 5 },
  'no keys': { knum: 0 },
  'more kept than there are': { knn: 9 },
})) {
  test(`refuses ${name}`, () => {
    assert.throws(
      () => graphOf(options),
      (error: unknown) => error instanceof DiagnosticsError && error.diagnostics.length >= 1,
    );
  });
}

test.run();
