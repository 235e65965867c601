// Change of element type.

import { type DType, dtypes } from '../../support/dtype.ts';
import { fromBf16, fromF8, fromF16, toBf16, toF16 } from '../../support/float-bits.ts';
import { type Tensor, zeros } from '../../support/tensor.ts';
import { oneOf } from '../attributes.ts';
import { op } from '../op.ts';

/** One element as a number; i64 beyond 2^53 is rounded. */
function read(x: Tensor): (i: number) => number {
  switch (x.dtype) {
    case 'f16':
      return (i) => fromF16(x.data[i]!);
    case 'bf16':
      return (i) => fromBf16(x.data[i]!);
    case 'f8':
      return (i) => fromF8(x.data[i]!);
    case 'i64':
      return (i) => Number(x.data[i]!);
    default:
      return (i) => x.data[i]!;
  }
}

/** Towards zero, clamped to the range, NaN to 0. */
const toInteger = (v: number, least: number, most: number): number =>
  Number.isNaN(v) ? 0 : Math.trunc(Math.min(Math.max(v, least), most));

const writers = {
  f32: (v) => v,
  f16: toF16,
  bf16: toBf16,
  i32: (v) => toInteger(v, -(2 ** 31), 2 ** 31 - 1),
  i64: (v) => toInteger(v, -(2 ** 63), 2 ** 63 - 1024),
} as const satisfies Partial<Record<DType, (v: number) => number>>;

/** `cast {dtype}`: any dtype to any but those of quantised rows. Floats round to nearest even; float to integer truncates, clamps, and takes NaN to 0. */
export const cast = op({
  kind: 'cast',
  inputs: ['x'],
  attrs: { dtype: oneOf(...dtypes) },
  infer: ([x], { dtype }) => [{ dtype, shape: x!.shape }],
  flops: () => 0,
  run([x], { dtype }) {
    const out = zeros(dtype, x!.shape);
    const at = read(x!);
    const write = writers[dtype];
    if (out.dtype === 'i64') for (let i = 0; i < out.data.length; i++) out.data[i] = BigInt(write(at(i)));
    else for (let i = 0; i < out.data.length; i++) out.data[i] = write(at(i));
    return [out];
  },
});
