// Which values are views of another's memory, and what a view looks like to a kernel. Pure arithmetic on strides.
// A view has T outermost in memory wherever T stands in its shape; so slices, transposes and most reshapes are free.

import type { Dim, Type } from '../ir/graph.ts';
import type { Buffer, View } from './types.ts';

/** Elements inside one token: the product of the dims that are sizes. */
export const elementsPerToken = (shape: readonly Dim[]): number =>
  shape.reduce<number>((n, d) => (typeof d === 'number' ? n * d : n), 1);

export const tokenAxis = (shape: readonly Dim[]): number => shape.findIndex((d) => typeof d === 'string');

/** Strides of a dense value: inner axes row-major, T outermost in memory. */
export function denseStrides(shape: readonly Dim[]): number[] {
  const strides = new Array<number>(shape.length);
  let stride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const dim = shape[axis]!;
    if (typeof dim === 'string') continue;
    strides[axis] = stride;
    stride *= dim;
  }
  const axis = tokenAxis(shape);
  if (axis >= 0) strides[axis] = stride;
  return strides;
}

/** The view of a whole dense buffer. */
export const denseView = (buffer: Pick<Buffer, 'name'>, type: Type): View => ({
  buffer: buffer.name,
  dtype: type.dtype,
  offset: 0,
  shape: type.shape,
  strides: denseStrides(type.shape),
});

/** The axes inside T: their sizes and strides, and the stride from token to token (0 where the value has no T). */
export interface TokenForm {
  readonly tokens: boolean;
  readonly ld: number;
  readonly dims: readonly number[];
  readonly strides: readonly number[];
}

export function tokenForm(view: View): TokenForm {
  const axis = tokenAxis(view.shape);
  const inner = view.shape.flatMap((d, i) => (i === axis ? [] : [{ dim: d as number, stride: view.strides[i]! }]));
  return {
    tokens: axis >= 0,
    ld: axis < 0 ? 0 : view.strides[axis]!,
    dims: inner.map((i) => i.dim),
    strides: inner.map((i) => i.stride),
  };
}

/** Whether the axes inside T lie row-major without gaps. */
export function innerContiguous(view: View): boolean {
  const { dims, strides } = tokenForm(view);
  let stride = 1;
  for (let axis = dims.length - 1; axis >= 0; axis--) {
    if (dims[axis] !== 1 && strides[axis] !== stride) return false;
    stride *= dims[axis]!;
  }
  return true;
}

/** Whether the view is its dense form: inner axes row-major, tokens without gaps between. */
export function isDense(view: View): boolean {
  const { tokens, ld } = tokenForm(view);
  return innerContiguous(view) && (!tokens || ld === elementsPerToken(view.shape));
}

export const transposeView = (view: View, perm: readonly number[]): View => ({
  ...view,
  shape: perm.map((p) => view.shape[p]!),
  strides: perm.map((p) => view.strides[p]!),
});

export const sliceView = (view: View, axis: number, start: number, end: number): View => ({
  ...view,
  offset: view.offset + start * view.strides[axis]!,
  shape: view.shape.map((d, i) => (i === axis ? end - start : d)),
});

/**
 * The same elements under another shape without moving them; undefined where strides cannot express it.
 * T stays a whole axis; groups of sizes before and after it are matched greedily, as numpy does.
 */
export function reshapeView(view: View, shape: readonly Dim[]): View | undefined {
  const strides: number[] = [];
  let from = 0;
  let to = 0;
  const source = view.shape;
  while (to < shape.length || from < source.length) {
    const dim = shape[to];
    if (typeof dim === 'string' || typeof source[from] === 'string') {
      // Sizes of one on either side of T belong to no group.
      if (typeof dim === 'string' && source[from] === 1) from++;
      else if (typeof source[from] === 'string' && dim === 1) {
        strides.push(0);
        to++;
      } else if (dim === source[from]) {
        strides.push(view.strides[from]!);
        from++;
        to++;
      } else return undefined;
      continue;
    }
    // The smallest group of axes on both sides with the same product.
    const fromStart = from;
    const toStart = to;
    let fromSize = from < source.length ? (source[from++] as number) : 1;
    let toSize = to < shape.length ? (shape[to++] as number) : 1;
    while (fromSize !== toSize) {
      const next = fromSize < toSize ? source[from] : shape[to];
      if (typeof next !== 'number') return undefined;
      if (fromSize < toSize) {
        fromSize *= next;
        from++;
      } else {
        toSize *= next;
        to++;
      }
    }
    const group = source
      .slice(fromStart, from)
      .map((d, i) => ({ dim: d as number, stride: view.strides[fromStart + i]! }))
      .filter((a) => a.dim !== 1);
    for (let i = 0; i + 1 < group.length; i++) {
      if (group[i]!.stride !== group[i + 1]!.stride * group[i + 1]!.dim) return undefined;
    }
    let stride = group.length === 0 ? 1 : group[group.length - 1]!.stride;
    const groupStrides: number[] = [];
    for (let i = to - 1; i >= toStart; i--) {
      groupStrides.unshift(stride);
      stride *= shape[i] as number;
    }
    strides.push(...groupStrides);
  }
  return { ...view, shape, strides };
}

/**
 * Strides of an operand broadcast (numpy's rule) to an output's axes inside T; undefined where the operand has T and the
 * output's T stands at another place.
 */
export function broadcastStrides(view: View, shape: readonly Dim[]): readonly number[] | undefined {
  const lead = shape.length - view.shape.length;
  const strides: number[] = [];
  for (const [axis, dim] of shape.entries()) {
    const own = axis - lead;
    if (typeof dim === 'string') {
      if (own >= 0 && view.shape[own] !== dim && view.shape[own] !== 1) return undefined;
      continue;
    }
    if (own >= 0 && typeof view.shape[own] === 'string') return undefined;
    strides.push(own < 0 || (view.shape[own] === 1 && dim !== 1) ? 0 : view.strides[own]!);
  }
  return strides;
}

/** Merges neighbouring axes that every operand walks as one, and drops sizes of one; at least one axis remains. */
export function mergeAxes(
  dims: readonly number[],
  operands: readonly (readonly number[])[],
): { dims: number[]; operands: number[][] } {
  const merged: number[] = [];
  const strides: number[][] = operands.map(() => []);
  for (const [axis, dim] of dims.entries()) {
    if (dim === 1) continue;
    const last = merged.length - 1;
    const joins = last >= 0 && operands.every((s, o) => strides[o]![last] === s[axis]! * dim);
    if (joins) {
      merged[last] = merged[last]! * dim;
      for (const [o, s] of operands.entries()) strides[o]![last] = s[axis]!;
    } else {
      merged.push(dim);
      for (const [o, s] of operands.entries()) strides[o]!.push(s[axis]!);
    }
  }
  if (merged.length === 0) {
    merged.push(1);
    for (const s of strides) s.push(0);
  }
  return { dims: merged, operands: strides };
}
