// Words that reduce an axis.

import type { Type } from '../ir/graph.ts';
import { apply1, axisOf, knownOptions } from './apply.ts';
import type { F32, I32 } from './tensor.ts';

export interface AxisOptions {
  /** Counted from the end when negative; default −1. */
  readonly axis?: number;
}

const reduce =
  (fn: string) =>
  (x: F32, options: AxisOptions = {}): F32 => {
    knownOptions(fn, options, ['axis']);
    return apply1(fn, 'reduce', [x], (x: Type) => ({ fn, axis: axisOf(x, options.axis ?? -1) }));
  };

/** Sum along an axis, which goes away. */
export const sum = reduce('sum');
/** Mean along an axis, which goes away. */
export const mean = reduce('mean');
/** Largest along an axis, which goes away; `maximum` is the one of two tensors. */
export const max = reduce('max');

/** exp(x − max) divided by its sum, over the last axis. */
export function softmax(x: F32): F32 {
  return apply1('softmax', 'softmax', [x], {});
}

/** Sums rows by group: x f32[T,R,…], group i32[T,R] → f32[T,groups,…]: y[t,g] = Σ of x[t,j] over group[t,j] = g (UltraMem §1.13). */
export function groupSum(x: F32, group: I32, options: { readonly groups: number }): F32 {
  knownOptions('groupSum', options, ['groups']);
  return apply1('groupSum', 'group_sum', [x, group], { groups: options.groups });
}
