// Reading operands in reference runs.

import { indexOutOfRange } from '../support/errors/ir.ts';
import { invariant } from '../support/errors.ts';
import type { Tensor } from '../support/tensor.ts';

/** Elements of an f32 operand. */
export function floats(operand: Tensor | undefined): Float32Array {
  invariant(operand?.dtype === 'f32', `expected an f32 operand, got ${operand?.dtype}`);
  return operand.data;
}

/** Elements of an i32 operand. */
export function integers(operand: Tensor | undefined): Int32Array {
  invariant(operand?.dtype === 'i32', `expected an i32 operand, got ${operand?.dtype}`);
  return operand.data;
}

/** Elements of an index operand as i32, each checked to lie in 0..below−1. Throws `index-out-of-range`. */
export function indices(op: string, operand: Tensor | undefined, below: number): Int32Array {
  invariant(operand?.dtype === 'i32' || operand?.dtype === 'i64', `expected an index operand, got ${operand?.dtype}`);
  const result = operand.dtype === 'i32' ? operand.data : Int32Array.from(operand.data, Number);
  for (let i = 0; i < operand.data.length; i++) {
    const index = Number(operand.data[i]);
    if (!(index >= 0 && index < below)) throw indexOutOfRange(op, index, below);
  }
  return result;
}

/** The shape of an operand. */
export function shapeOf(operand: Tensor | undefined): readonly number[] {
  invariant(operand !== undefined, 'a missing operand');
  return operand.shape;
}
