// Pieces of C++ text: identifiers, literals, pointers, template arguments.

import type { Count, View } from '../plan/types.ts';
import { tokenForm } from '../plan/views.ts';
import type { DType } from '../support/dtype.ts';

/** C++ element types; f16, bf16 and f8 are storage types of native/cpu/convert.h. */
export const elementType = {
  f32: 'float',
  f16: 'F16',
  bf16: 'BF16',
  i32: 'int32_t',
  i64: 'int64_t',
  i8: 'int8_t',
  f8: 'F8',
} as const satisfies Record<DType, string>;

/** The shortest literal that reads back as the same f32. */
export function f32Literal(value: number): string {
  const rounded = Math.fround(value);
  if (Number.isNaN(rounded)) return '__builtin_nanf("")';
  if (!Number.isFinite(rounded)) return rounded < 0 ? '-__builtin_inff()' : '__builtin_inff()';
  let text = String(rounded);
  for (let digits = 1; digits <= 9; digits++) {
    const short = Number(rounded.toPrecision(digits));
    if (Math.fround(short) !== rounded) continue;
    text = Object.is(short, -0) ? '-0' : String(short);
    break;
  }
  return `${/[.e]/.test(text) ? text : `${text}.0`}f`;
}

/** A double literal. */
export const f64Literal = (value: number): string => (/[.e]/.test(String(value)) ? String(value) : `${value}.0`);

/** An int32_t literal; the smallest value has no literal of its own in C++. */
export const i32Literal = (value: number): string => (value === -(2 ** 31) ? '(-2147483647 - 1)' : String(value));

/** A text as a C string literal. */
export const stringLiteral = (value: string): string =>
  `"${value.replace(/[^\x20-\x7e]|["\\?]/g, (c) => [...new TextEncoder().encode(c)].map((b) => `\\${b.toString(8).padStart(3, '0')}`).join(''))}"`;

/** The address of a view's first element. */
export const pointer = (view: View): string => (view.offset === 0 ? view.buffer : `${view.buffer} + ${view.offset}`);

export const pointerOrNull = (view: View | null): string => (view === null ? 'nullptr' : pointer(view));

/** Stride from token to token; 0 without T. */
export const tokenStride = (view: View): number => tokenForm(view).ld;

/** Stride of the first axis: what kernels that take [T,…] call the token stride, be T symbolic or a size. */
export const firstStride = (view: View): number => view.strides[0] ?? 0;

/** How many rows: `T`, `T * 6`, `5`. */
export function count({ factor, tokens }: Count): string {
  if (!tokens) return String(factor);
  return factor === 1 ? 'T' : `T * ${factor}`;
}

export const ints = (values: readonly number[]): string => `Ints<${values.join(', ')}>`;

/** A comment must not end or continue itself. */
export const comment = (text: string): string => text.replace(/\s+/g, ' ').replace(/\\+$/, '');
