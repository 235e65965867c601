// Rows of floats as bytes with an f32 scale each, and back: value = element · scale. What the `quantise` verb writes and what loading
// makes of a checkpoint of floats are the same bytes; native/addon/quantised.h follows the same rules.

import type { QuantisedDType } from '../support/dtype.ts';
import { fromF8, mostF8, toF8 } from '../support/float-bits.ts';

/** The largest magnitude that an element has. */
export const largestOf = { i8: 127, f8: mostF8 } as const satisfies Record<QuantisedDType, number>;

/** How elements share scales: element (block, k, i) of blocks of shared × inner has scale (block, i). */
export interface Sharing {
  readonly shared: number;
  readonly inner: number;
}

/** The sharing of a tensor of this shape whose scales lack `axis`. */
export const sharingOf = (shape: readonly number[], axis: number): Sharing => ({
  shared: shape[axis]!,
  inner: shape.slice(axis + 1).reduce((n, d) => n * d, 1),
});

export interface Quantised<D extends QuantisedDType = QuantisedDType> {
  /** i8 as it is, f8 as raw bytes. */
  readonly data: D extends 'i8' ? Int8Array : Uint8Array;
  readonly scale: Float32Array;
}

/**
 * Whole blocks of f32 values as i8 or f8: scale = largest magnitude / largestOf in f32, element = value / scale to the nearest, ties to
 * even. Where the scale is 0, so is all it belongs to. The error of i8 is at most half its scale, of f8 at most 1/16 of the value or
 * 2^-10 of the scale.
 * @returns the number of the first scale whose values are not all finite, else the elements and scales
 */
export function quantise<D extends QuantisedDType>(
  values: Float32Array,
  { shared, inner }: Sharing,
  dtype: D,
): Quantised<D> | number {
  const scale = new Float32Array(shared === 0 ? 0 : values.length / shared);
  const data = dtype === 'i8' ? new Int8Array(values.length) : new Uint8Array(values.length);
  const round = dtype === 'i8' ? toI8 : toF8;
  for (let s = 0; s < scale.length; s++) {
    const start = Math.floor(s / inner) * shared * inner + (s % inner);
    const end = start + shared * inner;
    let most = 0;
    for (let e = start; e < end; e += inner) {
      const magnitude = Math.abs(values[e]!);
      if (!Number.isFinite(magnitude)) return s;
      if (magnitude > most) most = magnitude;
    }
    scale[s] = most / largestOf[dtype];
    const factor = scale[s]!;
    for (let e = start; e < end; e += inner) data[e] = factor > 0 ? round(Math.fround(values[e]! / factor)) : 0;
  }
  return { data, scale } as Quantised<D>;
}

/** Whole blocks of i8 or f8 as f32. */
export function dequantise(
  dtype: QuantisedDType,
  data: Int8Array | Uint8Array,
  scale: Float32Array,
  { shared, inner }: Sharing,
): Float32Array {
  const values = new Float32Array(data.length);
  const value = dtype === 'i8' ? (element: number) => element : fromF8;
  for (let e = 0; e < data.length; e++) {
    const s = Math.floor(e / (shared * inner)) * inner + (e % inner);
    values[e] = value(data[e]!) * scale[s]!;
  }
  return values;
}

/** The first scale that is no finite number from 0, or -1. */
export const firstBadScale = (scale: Float32Array): number =>
  scale.findIndex((factor) => !(factor >= 0 && factor < Number.POSITIVE_INFINITY));

/** Sums with it have no fraction: f32 rounds them to the nearest whole number, ties to even. */
const whole = 1.5 * 2 ** 23;

const toI8 = (value: number): number => Math.max(-127, Math.min(127, Math.fround(Math.fround(value + whole) - whole)));

/** Key and value of a file's metadata that say which axis the scales of a tensor lack. */
export const axisNote = (name: string, axis: number): readonly [key: string, value: string] => [
  `quantised ${name}`,
  `over axis ${axis}`,
];

/** The axis that a file's metadata names for a tensor; undefined where it says nothing, NaN where that cannot be read. */
export function notedAxis(metadata: Readonly<Record<string, string>>, name: string): number | undefined {
  const note = metadata[axisNote(name, 0)[0]];
  return note === undefined ? undefined : Number(/^over axis (\d+)$/.exec(note)?.[1]);
}
