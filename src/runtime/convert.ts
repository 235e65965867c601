// Element types of weight files against those of the model: which pairs are allowed, and the conversion on the host.
// Every allowed conversion keeps values exactly, but for floats into a model of bf16, which round to nearest even;
// native/addon/stored_elements.h does the same for native engines.

import type { DType } from '../support/dtype.ts';
import { toBf16 } from '../support/float-bits.ts';
import type { Tensor } from '../support/tensor.ts';
import type { StoredDType } from './safetensors-header.ts';

const readable: Readonly<Partial<Record<StoredDType, readonly DType[]>>> = {
  F32: ['f32', 'bf16'],
  F16: ['f16', 'f32', 'bf16'],
  BF16: ['bf16', 'f32'],
  I32: ['i32', 'i64'],
  I64: ['i64', 'i32'],
  I8: ['i8'],
  F8_E4M3: ['f8'],
};

/** The format's name of an element type. */
export const storedName = {
  f32: 'F32',
  f16: 'F16',
  bf16: 'BF16',
  i32: 'I32',
  i64: 'I64',
  i8: 'I8',
  f8: 'F8_E4M3',
} as const satisfies Record<DType, StoredDType>;

/** The dtypes that a stored dtype can be read as, its own first; empty where it cannot be read. */
export const readableAs = (stored: StoredDType): readonly DType[] => readable[stored] ?? [];

/** Elements of a float type as f32, from the bytes that they are stored as. */
export function valuesOf(bytes: Uint8Array, stored: StoredDType): Float32Array {
  const [own] = readableAs(stored);
  if (own === 'f32') return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  if (own !== 'f16' && own !== 'bf16') throw new RangeError(`${stored} is no float`);
  const data = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2);
  return convert({ dtype: own, shape: [data.length], data }, 'f32').data;
}

/** The value of a 16-bit IEEE float. */
export function f16ToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25);
}

/**
 * The same values with another element type; rounded where that is bf16.
 * @throws RangeError where an i64 does not fit i32, or the pair is not an allowed one
 */
export function convert<D extends DType>(from: Tensor, dtype: D): Tensor<D> {
  if ((from.dtype as DType) === dtype) return from as unknown as Tensor<D>;
  const as = (data: Tensor['data']): Tensor<D> => ({ dtype, shape: from.shape, data }) as unknown as Tensor<D>;
  if (dtype === 'f32' && from.dtype === 'bf16') {
    const words = new Uint32Array(from.data.length);
    for (let i = 0; i < words.length; i++) words[i] = from.data[i]! << 16;
    return as(new Float32Array(words.buffer));
  }
  if (dtype === 'f32' && from.dtype === 'f16') return as(Float32Array.from(from.data, f16ToNumber));
  if (dtype === 'bf16' && from.dtype === 'f32') return as(Uint16Array.from(from.data, toBf16));
  if (dtype === 'bf16' && from.dtype === 'f16') return convert(convert(from, 'f32'), dtype);
  if (dtype === 'i64' && from.dtype === 'i32') return as(BigInt64Array.from(from.data, BigInt));
  if (dtype === 'i32' && from.dtype === 'i64') {
    const data = new Int32Array(from.data.length);
    for (let i = 0; i < data.length; i++) {
      const value = from.data[i]!;
      if (value !== BigInt.asIntN(32, value)) throw new RangeError(`holds ${value} at element ${i}, too large for i32`);
      data[i] = Number(value);
    }
    return as(data);
  }
  throw new RangeError(`${from.dtype} does not convert to ${dtype}`);
}
