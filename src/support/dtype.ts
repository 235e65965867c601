// Element types: names, sizes, host arrays.

/** Element types of tensors. `f16` and `bf16` are storage types; arithmetic is f32 or wider. */
export type DType = 'f32' | 'f16' | 'bf16' | 'i32' | 'i64';

export const dtypes = ['f32', 'f16', 'bf16', 'i32', 'i64'] as const satisfies readonly DType[];

/** Bytes per element. */
export const dtypeBytes = { f32: 4, f16: 2, bf16: 2, i32: 4, i64: 8 } as const satisfies Record<DType, number>;

/** Whether arithmetic on this element type is floating point. */
export const isFloat = (dtype: DType): boolean => dtype === 'f32' || dtype === 'f16' || dtype === 'bf16';
