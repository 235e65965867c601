// The rule of verify: what counts as equal, and what does not.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { tensor } from '../../src/support/tensor.ts';
import { compareFloats, compareIndices } from '../../src/verify/compare.ts';
import { compareAll } from '../../src/verify/expected.ts';

const f32 = (...values: number[]) => tensor('f32', [values.length], Float32Array.from(values));
const i32 = (...values: number[]) => tensor('i32', [values.length], Int32Array.from(values));
const test = suite('compare');

test('equal floats have no error', () => {
  const { ok, error, note } = compareFloats('x', f32(1, -2, 0), f32(1, -2, 0));
  assert.equal([ok, error, note], [true, 0, undefined]);
});

test('floats within the limit pass, beyond it fail and name the worst place', () => {
  assert.ok(compareFloats('x', f32(1, 2.00001), f32(1, 2)).ok);
  const { ok, error, note } = compareFloats('x', f32(1, 2.001), f32(1, 2));
  assert.not.ok(ok);
  assert.ok(Math.abs(error - 0.001 / Math.sqrt(5)) < 1e-6);
  assert.match(note!, /^at \[1\] 2\.0009.*, wanted 2$/);
});

test('one element off fails even where it drowns in the norm', () => {
  const want = tensor('f32', [1000, 1000], new Float32Array(1e6).fill(1));
  const got = tensor('f32', [1000, 1000], want.data.slice());
  got.data[123456] = 1.001;
  const { ok, error, note } = compareFloats('x', got, want);
  assert.ok(error < 1e-5);
  assert.not.ok(ok);
  assert.match(note!, /^at \[123,456\]/);
});

test('NaN is never equal', () => {
  assert.not.ok(compareFloats('x', f32(Number.NaN, 1), f32(0, 1)).ok);
  assert.not.ok(compareFloats('x', f32(0, 1), f32(Number.NaN, 1)).ok);
});

test('zeros are compared absolutely', () => {
  assert.ok(compareFloats('x', f32(0, 0), f32(0, 0)).ok);
  assert.not.ok(compareFloats('x', f32(0, 1e-3), f32(0, 0)).ok);
});

test('another shape is an error of its own', () => {
  assert.match(compareFloats('x', f32(1, 2), f32(1)).note!, /shape \[2\], wanted \[1\]/);
  assert.not.ok(compareIndices('i', i32(1, 2), i32(1)).comparison.ok);
});

test('indices must be equal', () => {
  const { comparison } = compareIndices('i', i32(4, 2, 7), i32(4, 3, 7), Float64Array.of(3, 2, 1));
  assert.equal([comparison.ok, comparison.error, comparison.note], [false, 1 / 3, 'at [1] 2, wanted 3']);
});

test('without scores no order but the expected one passes', () => {
  assert.not.ok(compareIndices('i', i32(2, 1), i32(1, 2)).comparison.ok);
});

test('neighbours within rounding may change places, others may not', () => {
  const scores = Float64Array.of(3, 2, 2 - 1e-9, 1);
  const near = compareIndices('i', i32(5, 7, 6, 8), i32(5, 6, 7, 8), scores);
  assert.equal([near.comparison.ok, near.comparison.swapped], [true, 1]);
  assert.equal([...near.order!], [0, 2, 1, 3]);
  assert.not.ok(compareIndices('i', i32(6, 5, 7, 8), i32(5, 6, 7, 8), scores).comparison.ok);
});

test('a repeated index is no swap', () => {
  const { comparison } = compareIndices('i', i32(6, 6), i32(6, 7), Float64Array.of(2, 2));
  assert.not.ok(comparison.ok);
});

test('scores are compared in the order of their indices', () => {
  const expected = {
    'mid.best_index': tensor('i32', [1, 3], Int32Array.of(5, 6, 7)),
    'mid.best_scores': tensor('f32', [1, 3, 2], Float32Array.of(9, 1, 3, 1, 1, 3)), // sums 10, 4, 4
  };
  const swapped = {
    'mid.best_index': tensor('i32', [1, 3], Int32Array.of(5, 7, 6)),
    'mid.best_scores': tensor('f32', [1, 3, 2], Float32Array.of(9, 1, 1, 3, 3, 1)),
  };
  assert.ok(compareAll(swapped, expected).every(({ ok }) => ok));
  const wrong = { ...swapped, 'mid.best_scores': expected['mid.best_scores'] };
  assert.not.ok(compareAll(wrong, expected).every(({ ok }) => ok));
});

test.run();
