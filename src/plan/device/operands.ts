// Operands of launches on a device, and what their strides are.

import { dtypeBytes } from '../../support/dtype.ts';
import type { View } from '../types.ts';
import { tokenForm } from '../views.ts';
import type { DevicePointer } from './launch.ts';

export const reads = (name: string, view: View | null): DevicePointer => ({ name, view, access: 'read' });
export const writes = (name: string, view: View): DevicePointer => ({ name, view, access: 'write' });
export const updates = (name: string, view: View): DevicePointer => ({ name, view, access: 'update' });

/** Stride from token to token; 0 without T. */
export const tokenStride = (view: View): number => tokenForm(view).ld;

/** Stride of the first axis, be it T or a size. */
export const firstStride = (view: View): number => view.strides[0] ?? 0;

/** The type of an element in device code. */
export const elementOf = ({ dtype }: View): string =>
  ({ f32: 'float', i32: 'int', i64: 'long long', f16: 'F16', bf16: 'BF16', i8: 'signed char', f8: 'F8' })[dtype];

/** Whether four neighbours can be loaded at once: rows of `stride` elements begin at multiples of 16 bytes. */
export const inFours = (view: View, ...strides: readonly number[]): boolean =>
  dtypeBytes[view.dtype] === 4 && view.offset % 4 === 0 && strides.every((stride) => stride % 4 === 0);

/** `Ints<…>` as text, for constants that nest. */
export const intsText = (values: readonly number[]): string => `Ints<${values.join(', ')}>`;

/** An operand of a kernel that loads runs: its view, and the strides between the places where runs begin. */
export type RunOperand = readonly [view: View, ...strides: readonly number[]];

/**
 * Elements that a kernel loads at once as floats (native/cuda/floats.cuh) from rows of `width`: up to 16 bytes of the
 * narrowest operand, as far as every operand's alignment allows; 1, 2, 4 or 8, and of f32 alone 1 or 4.
 */
export function runLength(width: number, ...operands: readonly RunOperand[]): number {
  const narrow = operands.some(([{ dtype }]) => dtypeBytes[dtype] < 4);
  const allows = (count: number): boolean =>
    width % count === 0 &&
    operands.every(([{ dtype, offset }, ...strides]) => {
      const together = Math.min(count, 16 / dtypeBytes[dtype]);
      return [offset, ...strides].every((elements) => elements % together === 0);
    });
  return (narrow ? [8, 4, 2] : [4]).find(allows) ?? 1;
}
