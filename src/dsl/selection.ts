// Words for choosing the largest.

import { apply, knownOptions } from './apply.ts';
import type { F32, I32 } from './tensor.ts';

/**
 * The k largest of the last axis: x f32[…,n] → values f32[…,k] and their indices i32[…,k].
 * Descending; equal values by lower index; NaN last. A fault where k > n.
 */
export function topk(x: F32, options: { readonly k: number }): [values: F32, indices: I32] {
  knownOptions('topk', options, ['k']);
  return apply('topk', 'topk', [x], { k: options.k }, 2) as [F32, I32];
}
