// Formulas on tensors, written index by index: what op cases state their expectations with, independent of the references.

import { type Tensor, zeros } from '../../src/support/tensor.ts';

/** The element at an index, one number per axis. */
export function at(x: Tensor, ...index: number[]): number {
  if (index.length !== x.shape.length) throw new RangeError(`${index.length} indices for ${x.shape.length} axes`);
  let offset = 0;
  for (let axis = 0; axis < index.length; axis++) {
    const i = index[axis]!;
    if (!(i >= 0 && i < x.shape[axis]!)) throw new RangeError(`index ${i} of axis ${axis} with ${x.shape[axis]}`);
    offset = offset * x.shape[axis]! + i;
  }
  return Number(x.data[offset]);
}

/** A tensor from a formula for its elements. */
export function fill<D extends 'f32' | 'i32'>(
  dtype: D,
  shape: readonly number[],
  of: (...index: number[]) => number,
): Tensor<D> {
  const out = zeros(dtype, shape);
  const data = out.data as Float32Array | Int32Array;
  for (let offset = 0; offset < data.length; offset++) {
    const index: number[] = [];
    let rest = offset;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index.unshift(rest % shape[axis]!);
      rest = Math.floor(rest / shape[axis]!);
    }
    data[offset] = of(...index);
  }
  return out;
}

export const f32Of = (shape: readonly number[], of: (...index: number[]) => number): Tensor<'f32'> =>
  fill('f32', shape, of);
export const i32Of = (shape: readonly number[], of: (...index: number[]) => number): Tensor<'i32'> =>
  fill('i32', shape, of);

/** Σ over 0..n−1. */
export function sum(n: number, of: (i: number) => number): number {
  let total = 0;
  for (let i = 0; i < n; i++) total += of(i);
  return total;
}

/** The best k of the scores by k passes over them: the greatest first, of equals the first, NaN when nothing else is left. */
export function best(k: number, scores: readonly number[]): number[] {
  const left = scores.map((_, i) => i);
  const result: number[] = [];
  while (result.length < k) {
    let pick = left[0]!;
    for (const i of left) {
      if (scores[i]! > scores[pick]! || (Number.isNaN(scores[pick]) && !Number.isNaN(scores[i]))) pick = i;
    }
    result.push(pick);
    left.splice(left.indexOf(pick), 1);
  }
  return result;
}

/** A list from a formula. */
export const list = <T>(n: number, of: (i: number) => T): T[] => Array.from({ length: n }, (_, i) => of(i));
