// Element types: names, sizes, host arrays.

/**
 * Element types of tensors. `f16` and `bf16` are storage types; arithmetic is f32 or wider. `i8` and `f8` (e4m3: finite, up to 448)
 * are those of quantised rows, whose elements mean nothing without their row's scale.
 */
export type DType = 'f32' | 'f16' | 'bf16' | 'i32' | 'i64' | 'i8' | 'f8';

/** Those that a model's own values may have. */
export const dtypes = ['f32', 'f16', 'bf16', 'i32', 'i64'] as const satisfies readonly DType[];

/** Those of rows that have a scale each. */
export const quantisedDtypes = ['i8', 'f8'] as const satisfies readonly DType[];
export type QuantisedDType = (typeof quantisedDtypes)[number];

/** The same by the names that people know them by. */
export const quantisedTypes = { int8: 'i8', fp8: 'f8' } as const satisfies Record<string, QuantisedDType>;
export type TableType = keyof typeof quantisedTypes;

/** Bytes per element. */
export const dtypeBytes = { f32: 4, f16: 2, bf16: 2, i32: 4, i64: 8, i8: 1, f8: 1 } as const satisfies Record<
  DType,
  number
>;

/** Whether arithmetic on this element type is floating point. */
export const isFloat = (dtype: DType): boolean => dtype === 'f32' || dtype === 'f16' || dtype === 'bf16';

export const isQuantised = (dtype: DType): dtype is QuantisedDType => dtype === 'i8' || dtype === 'f8';

/** The weight that holds the scales f32 of a quantised one. */
export const scaleName = (name: string): string => `${name}.scale`;
