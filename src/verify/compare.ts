// Compares a computed tensor with the expected one: floats by error, indices exactly but for ties within rounding.

import { elements, type Tensor } from '../support/tensor.ts';

/** How far float tensors may be apart. */
export interface Limits {
  /** Relative l2 error of a tensor. */
  readonly relative: number;
  /** Error of one element, relative to the tensor's root mean square plus the element's magnitude. */
  readonly element: number;
}

/** By how values are stored. */
export const limits = {
  f32: { relative: 1e-5, element: 1e-4 },
  bf16: { relative: 1e-2, element: 1e-1 },
} as const satisfies Readonly<Record<string, Limits>>;

/** Two selected scores closer than this share of the scores' standard deviation may change places. */
export const tieLimit = 1e-5;

/** What comparing one tensor gave. */
export interface Comparison {
  readonly name: string;
  readonly ok: boolean;
  /** Relative l2 error of a float tensor; share of wrong elements of an index tensor. */
  readonly error: number;
  /** Pairs of near-equal scores that stand in the other order. Index tensors only. */
  readonly swapped: number;
  /** The worst place, or why the tensors cannot be compared; undefined where all is equal. */
  readonly note: string | undefined;
}

/** Place of each expected index element in the computed tensor, where near ties changed the order. */
export type Order = Int32Array;

/**
 * Compares float tensors of one shape. `order` (of the index tensor they belong to; their leading axes are its axes)
 * undoes allowed swaps first.
 */
export function compareFloats(
  name: string,
  got: Tensor,
  want: Tensor,
  order?: Order,
  within: Limits = limits.f32,
): Comparison {
  const problem = shapeProblem(got, want);
  if (problem !== undefined) return { name, ok: false, error: Number.NaN, swapped: 0, note: problem };
  const count = elements(want.shape);
  const place = order === undefined ? (i: number): number => i : placeOf(order, count);
  let squares = 0;
  let differences = 0;
  for (let i = 0; i < count; i++) {
    const w = Number(want.data[i]);
    squares += w * w;
    differences += (Number(got.data[place(i)]) - w) ** 2;
  }
  const rms = Math.sqrt(squares / Math.max(1, count));
  const error = differences === 0 ? 0 : Math.sqrt(differences) / (squares === 0 ? 1 : Math.sqrt(squares));
  let worst = -1;
  let worstShare = 0;
  for (let i = 0; i < count; i++) {
    const w = Number(want.data[i]);
    const off = Math.abs(Number(got.data[place(i)]) - w);
    const share = off === 0 ? 0 : off / (rms + Math.abs(w));
    if (!(share <= worstShare)) [worst, worstShare] = [i, Number.isNaN(share) ? Number.POSITIVE_INFINITY : share];
  }
  const ok = error <= within.relative && worstShare <= within.element;
  const note =
    worst < 0
      ? undefined
      : `at [${coordinates(worst, want.shape)}] ${got.data[place(worst)]}, wanted ${want.data[worst]}`;
  return { name, ok, error, swapped: 0, note };
}

/**
 * Compares index tensors of one shape, row by row of the last axis. `scores` (one per element of `want`) are what the
 * indices were selected by: without them every difference counts. Returns the order that `compareFloats` takes.
 */
export function compareIndices(
  name: string,
  got: Tensor,
  want: Tensor,
  scores?: Float64Array,
): { comparison: Comparison; order: Order | undefined } {
  const problem = shapeProblem(got, want);
  if (problem !== undefined) {
    return { comparison: { name, ok: false, error: 1, swapped: 0, note: problem }, order: undefined };
  }
  const count = elements(want.shape);
  const row = want.shape.at(-1) ?? 1;
  const order = Int32Array.from({ length: count }, (_, i) => i);
  const near = scores === undefined ? 0 : tieLimit * standardDeviation(scores);
  let wrong = 0;
  let moved = 0;
  let note: string | undefined;
  for (let start = 0; start < count; start += row) {
    const left = new Set<number>();
    for (let i = start; i < start + row; i++) if (Number(got.data[i]) !== Number(want.data[i])) left.add(i);
    for (const i of [...left].sort((a, b) => a - b)) {
      if (Number(got.data[i]) === Number(want.data[i])) continue;
      const j = [...left].find(
        (k) =>
          Number(got.data[k]) === Number(want.data[i]) &&
          scores !== undefined &&
          Math.abs(scores[k]! - scores[i]!) <= near,
      );
      if (j === undefined) {
        wrong++;
        note ??= `at [${coordinates(i, want.shape)}] ${got.data[i]}, wanted ${want.data[i]}`;
      } else {
        left.delete(j);
        order[i] = j;
        moved++;
      }
    }
  }
  const comparison = { name, ok: wrong === 0, error: wrong / Math.max(1, count), swapped: moved / 2, note };
  return { comparison, order: moved > 0 && wrong === 0 ? order : undefined };
}

/** Maps an element of a tensor with one or more values per index element to its place in `got`. */
function placeOf(order: Order, count: number): (i: number) => number {
  const per = count / order.length; // values per index element
  return (i) => order[Math.floor(i / per)]! * per + (i % per);
}

function shapeProblem(got: Tensor, want: Tensor): string | undefined {
  const same = got.shape.length === want.shape.length && got.shape.every((d, i) => d === want.shape[i]);
  return same ? undefined : `shape [${got.shape.join(',')}], wanted [${want.shape.join(',')}]`;
}

function coordinates(index: number, shape: readonly number[]): string {
  const place: number[] = [];
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    place.unshift(index % shape[axis]!);
    index = Math.floor(index / shape[axis]!);
  }
  return place.join(',');
}

function standardDeviation(values: Float64Array): number {
  const mean = values.reduce((sum, v) => sum + v, 0) / Math.max(1, values.length);
  const variance = values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / Math.max(1, values.length);
  return Math.sqrt(variance);
}
