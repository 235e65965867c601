// Words that choose their op's attributes themselves: what they compute, against loops over the same small numbers.

import {
  add,
  cast,
  concat,
  constant,
  embedding,
  type F32,
  linear,
  type ModelContext,
  matmul,
  max,
  mean,
  model,
  mul,
  slice,
  split,
  stack,
  sub,
  sum,
  type Tensor,
  take,
  topk,
  trace,
  transpose,
  unstack,
  weightedSum,
} from 'ultramem';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { interpret } from '../../src/ir/interpret.ts';
import type { Tensor as HostTensor } from '../../src/support/tensor.ts';
import { Random } from '../random.ts';
import { seed } from '../settings.ts';

const test = suite('words');
const T = 3;

interface Computed {
  readonly y: HostTensor;
  readonly x: HostTensor<'f32'>;
  readonly w: HostTensor<'f32'>;
}

/** Runs one word on x f32[3,…shape] and a weight w, both of small multiples of ½. */
function compute(shape: number[], weight: number[], body: (x: F32, w: F32, m: ModelContext) => Tensor): Computed {
  const graph = trace(
    model('word', (m) => {
      const x = m.input('x', [m.symbol('T'), ...shape]);
      m.output('y', body(x, m.weight('w', weight), m));
    }),
  );
  const random = new Random(seed, shape.join());
  const x = random.coarse([T, ...shape]);
  const w = random.coarse(weight);
  return { y: interpret(graph, { inputs: { x }, weights: { w } }).outputs.y!, x, w };
}

/** A tensor of the shape, element by element from its coordinates. */
function built(shape: number[], of: (...at: number[]) => number): { shape: number[]; data: number[] } {
  const data: number[] = [];
  const fill = (at: number[]): void => {
    if (at.length === shape.length) data.push(of(...at));
    else for (let i = 0; i < shape[at.length]!; i++) fill([...at, i]);
  };
  fill([]);
  return { shape, data };
}

const at = ({ shape, data }: HostTensor, ...place: number[]): number =>
  Number(data[place.reduce((offset, i, axis) => offset * shape[axis]! + i, 0)]);

const total = (count: number, of: (i: number) => number): number =>
  Array.from({ length: count }, (_, i) => of(i)).reduce((a, b) => a + b, 0);

const same = (got: HostTensor, wanted: { shape: number[]; data: number[] }): void => {
  assert.equal([...got.shape], wanted.shape);
  assert.equal(Array.from(got.data, Number), wanted.data);
};

test('linear takes the last axis', () => {
  const { y, x, w } = compute([2, 4], [5, 4], (x, w) => linear(x, w));
  same(
    y,
    built([T, 2, 5], (t, a, n) => total(4, (k) => at(x, t, a, k) * at(w, n, k))),
  );
});

test('matmul shares the axes before the last two', () => {
  const shared = compute([2, 4], [4, 5], (x, w) => matmul(x, w));
  same(
    shared.y,
    built([T, 2, 5], (t, m, n) => total(4, (k) => at(shared.x, t, m, k) * at(shared.w, k, n))),
  );
  const own = compute([2, 4], [1], (x) => matmul(x, transpose(x, [0, 2, 1])));
  same(
    own.y,
    built([T, 2, 2], (t, m, n) => total(4, (k) => at(own.x, t, m, k) * at(own.x, t, n, k))),
  );
});

test('weightedSum merges ranks per head', () => {
  const { y, x, w } = compute([2, 5, 3], [2, 3], (x, w) => weightedSum(x, w));
  same(
    y,
    built([T, 2, 5], (t, h, n) => total(3, (r) => at(x, t, h, n, r) * at(w, h, r))),
  );
});

test('take picks per leading position and carries the axes behind', () => {
  const { y, x } = compute([4, 2], [1], (x) => take(x, topk(sum(x), { k: 2 })[1]));
  const order = (t: number) =>
    [0, 1, 2, 3].sort((a, b) => at(x, t, b, 0) + at(x, t, b, 1) - at(x, t, a, 0) - at(x, t, a, 1) || a - b);
  same(
    y,
    built([T, 2, 2], (t, k, c) => at(x, t, order(t)[k]!, c)),
  );
});

test('embedding gives rows', () => {
  const { y, x, w } = compute([4], [4, 2, 3], (x, w) => embedding(w, topk(x, { k: 1 })[1]));
  const best = (t: number) => [0, 1, 2, 3].reduce((a, b) => (at(x, t, b) > at(x, t, a) ? b : a));
  same(
    y,
    built([T, 1, 2, 3], (t, _, a, b) => at(w, best(t), a, b)),
  );
});

test('split and concat are inverse; so are unstack and stack', () => {
  const parts = compute([6], [1], (x) => concat([...split(x, [1, 2, 3])]));
  same(
    parts.y,
    built([T, 6], (t, i) => at(parts.x, t, i)),
  );
  const slices = compute([2, 3], [1], (x) => stack(unstack(x, { axis: 1, count: 2 }), { axis: 2 }));
  same(
    slices.y,
    built([T, 3, 2], (t, i, a) => at(slices.x, t, a, i)),
  );
});

test('negative axes count from the end', () => {
  const cut = compute([2, 4], [1], (x) => slice(x, { axis: -2, start: 1, end: 2 }));
  same(
    cut.y,
    built([T, 1, 4], (t, _, i) => at(cut.x, t, 1, i)),
  );
  const last = compute([2], [1], (x) => stack([x, x], { axis: -1 }));
  same(
    last.y,
    built([T, 2, 2], (t, i) => at(last.x, t, i)),
  );
  const largest = compute([2, 4], [1], (x) => max(x, { axis: -2 }));
  same(
    largest.y,
    built([T, 4], (t, i) => Math.max(at(largest.x, t, 0, i), at(largest.x, t, 1, i))),
  );
  const middle = compute([2, 4], [1], (x) => mean(x, { axis: 1 }));
  same(
    middle.y,
    built([T, 4], (t, i) => (at(middle.x, t, 0, i) + at(middle.x, t, 1, i)) / 2),
  );
});

test('axes that are not there are refused, from either end', () => {
  for (const axis of [-4, 3]) {
    assert.throws(() => compute([2, 4], [1], (x) => mean(x, { axis })), /bad-attribute/);
    assert.throws(() => compute([2, 4], [1], (x) => slice(x, { axis, start: 0, end: 1 })), /bad-attribute/);
    assert.throws(() => compute([2, 4], [1], (x) => unstack(x, { axis, count: 2 })[0]!), /wrong-shape/);
    assert.throws(() => compute([2, 4], [1], (x) => concat([x, x], { axis })), /bad-attribute/);
  }
});

test('numbers take the element type of their partner', () => {
  const floats = compute([2], [1], (x) => sub(mul(x, 2), constant(1)));
  same(
    floats.y,
    built([T, 2], (t, i) => 2 * at(floats.x, t, i) - 1),
  );
  const integers = compute([4], [1], (x) => add(topk(x, { k: 4 })[1], 7));
  assert.is(integers.y.dtype, 'i32');
  assert.is(
    total(4, (i) => at(integers.y, 0, i)),
    6 + 4 * 7,
  );
  const changed = compute([2], [1], (x) => cast(cast(x, 'bf16'), 'f32'));
  same(
    changed.y,
    built([T, 2], (t, i) => at(changed.x, t, i)),
  );
});

test.run();
