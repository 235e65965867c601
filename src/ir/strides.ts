// Walking dense row-major tensors in an arbitrary axis order.

import type { Tensor } from '../support/tensor.ts';

/** Elements between neighbours along each axis of a row-major shape. */
export function stridesOf(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length);
  let step = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = step;
    step *= shape[axis]!;
  }
  return strides;
}

/** Strides of an operand along the axes of a broader result; 0 along axes it is broadcast over. */
export function broadcastStrides(shape: readonly number[], result: readonly number[]): number[] {
  const own = stridesOf(shape);
  const lead = result.length - shape.length;
  return result.map((_, axis) => (axis < lead || shape[axis - lead] === 1 ? 0 : own[axis - lead]!));
}

/**
 * Calls `visit` once per row of `shape` (all axes but the last, row-major) with the element offsets of each view at the row's
 * start. `views` are strides per axis; the offsets array is reused between calls.
 */
export function forEachRow(
  shape: readonly number[],
  views: readonly (readonly number[])[],
  visit: (offsets: readonly number[], row: number) => void,
): void {
  const outer = shape.slice(0, -1);
  const offsets = new Array<number>(views.length).fill(0);
  const at = new Array<number>(outer.length).fill(0);
  const rows = outer.reduce((n, d) => n * d, 1);
  for (let row = 0; row < rows; row++) {
    visit(offsets, row);
    for (let axis = outer.length - 1; axis >= 0; axis--) {
      const next = ++at[axis]!;
      for (let v = 0; v < views.length; v++) offsets[v]! += views[v]![axis]!;
      if (next < outer[axis]!) break;
      for (let v = 0; v < views.length; v++) offsets[v]! -= views[v]![axis]! * next;
      at[axis] = 0;
    }
  }
}

/** `source` with its axes reordered: axis i of the result is axis perm[i] of the source. */
export function permuted<A extends Tensor['data']>(source: A, shape: readonly number[], perm: readonly number[]): A {
  const result = source.slice() as A;
  const strides = stridesOf(shape);
  const view = perm.map((axis) => strides[axis]!);
  const to = perm.map((axis) => shape[axis]!);
  if (to.length === 0) return result;
  const width = to[to.length - 1]!;
  const step = view[view.length - 1]!;
  forEachRow(to, [view], ([start], row) => {
    for (let i = 0; i < width; i++) result[row * width + i] = source[start! + i * step]!;
  });
  return result;
}
