// What the words take and return: handles of values of the graph being traced. The element type is part of the TypeScript type.

import type { Dim, ValueId } from '../ir/graph.ts';
import type { DType } from '../support/dtype.ts';

/**
 * A value of the model being traced. `Tensor<'f32'>` and `Tensor<'i32'>` are different types: mixing them up is a compile error.
 * Shapes are checked while tracing.
 */
export interface Tensor<D extends DType = DType> {
  readonly kind: 'tensor';
  readonly dtype: D;
  /** Sizes and names of symbols; [] for a scalar. */
  readonly shape: readonly Dim[];
  /** Name of the value in the graph. */
  readonly id: ValueId;
  /** Result of a word that reported an error: accepted everywhere, so that a trace finds all errors. */
  readonly poisoned: boolean;
}

/** A tensor that lives across steps, f32; one word reads and updates it in place. Not an operand of arithmetic. */
export interface State {
  readonly kind: 'state';
  readonly shape: readonly Dim[];
  readonly id: ValueId;
  readonly poisoned: boolean;
}

export type F32 = Tensor<'f32'>;
export type I32 = Tensor<'i32'>;

export const isTensor = (value: unknown): value is Tensor =>
  typeof value === 'object' && value !== null && (value as Tensor).kind === 'tensor';

export const isState = (value: unknown): value is State =>
  typeof value === 'object' && value !== null && (value as State).kind === 'state';
