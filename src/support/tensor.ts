// Tensors in host memory: what the interpreter computes with and what a session takes and returns.

import type { DType } from './dtype.ts';

/** Host arrays per element type. f16 and bf16 are kept as raw 16-bit patterns, f8 as raw bytes. */
export interface HostArrays {
  f32: Float32Array;
  f16: Uint16Array;
  bf16: Uint16Array;
  i32: Int32Array;
  i64: BigInt64Array;
  i8: Int8Array;
  f8: Uint8Array;
}

/** A dense row-major tensor in host memory. `data.length` is the product of `shape`. */
export type Tensor<D extends DType = DType> = {
  [K in D]: { readonly dtype: K; readonly shape: readonly number[]; readonly data: HostArrays[K] };
}[D];

/** Product of the dims; 1 for a scalar. */
export const elements = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1);

const arrays = {
  f32: Float32Array,
  f16: Uint16Array,
  bf16: Uint16Array,
  i32: Int32Array,
  i64: BigInt64Array,
  i8: Int8Array,
  f8: Uint8Array,
} as const;

/** A zero-filled tensor. */
export function zeros<D extends DType>(dtype: D, shape: readonly number[]): Tensor<D> {
  const data = new arrays[dtype](elements(shape)) as HostArrays[D];
  return { dtype, shape: [...shape], data } as unknown as Tensor<D>;
}

/** Wraps an array as a tensor; throws RangeError where the length is not the product of the shape. */
export function tensor<D extends DType>(dtype: D, shape: readonly number[], data: HostArrays[D]): Tensor<D> {
  if (data.length !== elements(shape)) {
    throw new RangeError(
      `a ${dtype}[${shape.join(',')}] tensor has ${elements(shape)} elements, the array ${data.length}`,
    );
  }
  return { dtype, shape: [...shape], data } as unknown as Tensor<D>;
}
