// The graph: SSA nodes over typed values, as frozen plain data. Everything between the DSL and the plan is this.

import type { DType } from '../support/dtype.ts';

/** A dim is a size, or the name of a symbol of the graph (`T` tokens of a step, `S` sequences of a session). */
export type Dim = number | string;

/** Type of a value: element type and shape. A scalar has shape []. */
export interface Type {
  readonly dtype: DType;
  readonly shape: readonly Dim[];
}

/** Place in the user's model file; line and column count from 1. */
export interface Loc {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** Name of a value, unique in its graph: letters, digits, `_` and `.`; printed with a sigil by kind of leaf. */
export type ValueId = string;

/** A symbolic dim. `step` symbols may differ per step (T), `session` symbols are fixed when weights load (S). */
export interface SymbolDim {
  readonly name: string;
  /** Largest value, inclusive. */
  readonly bound: number;
  readonly scope: 'step' | 'session';
}

/** A tensor handed in at every step. Integer inputs may state an exclusive upper `below`; lower is 0. Checked before a step. */
export interface Input {
  readonly kind: 'input';
  readonly id: ValueId;
  readonly type: Type;
  readonly below: Dim | undefined;
  readonly loc: Loc | undefined;
}

/**
 * Where a loaded weight lies. `memory`: mapped where the checkpoint stores it as declared, else converted; expected to fit.
 * `file`: in the checkpoint's file alone, whose pages come as rows are gathered and go when memory is short, so that a
 * table may be larger than memory; on a device, in pinned memory of the host.
 */
export type WeightPlacement = (typeof placements)[number];
export const placements = ['memory', 'file'] as const;

/** A tensor from the checkpoint, constant while loaded. */
export interface Weight {
  readonly kind: 'weight';
  readonly id: ValueId;
  /** Name in the checkpoint (state dict). */
  readonly name: string;
  readonly type: Type;
  /** Zeros stand in when the checkpoint lacks it. */
  readonly optional: boolean;
  /** Integer weights used as indices: exclusive upper bound of every element, checked at load; lower is 0. */
  readonly below: number | undefined;
  readonly placement: WeightPlacement;
  readonly loc: Loc | undefined;
}

/** A tensor that lives across the steps of a session (KV cache, conv window). Zero at load. Used by at most one node, which updates it. */
export interface State {
  readonly kind: 'state';
  readonly id: ValueId;
  readonly type: Type;
  readonly loc: Loc | undefined;
}

export type Leaf = Input | Weight | State;

export type Attr = string | number | boolean | readonly number[] | readonly string[] | readonly (number | string)[];
export type Attrs = Readonly<Record<string, Attr>>;

/** A result of a node. */
export interface Result {
  readonly id: ValueId;
  readonly type: Type;
}

/** One application of an op. `op` is a key of the table in `ops/index.ts`. */
export interface Node {
  readonly op: string;
  readonly inputs: readonly ValueId[];
  readonly attrs: Attrs;
  readonly results: readonly Result[];
  /** `prepare`: depends on weights alone, runs once at load. `step`: runs every step. Set by the hoist pass; `step` until then. */
  readonly stage: 'prepare' | 'step';
  readonly loc: Loc | undefined;
}

/** A named reference to a value. */
export interface Named {
  readonly name: string;
  readonly value: ValueId;
}

/** Facts about the model that are no computation. */
export interface Meta {
  /** How text becomes ids: raw bytes, with an optional id put before every sequence and optional ids that end one. */
  readonly tokenizer?: { readonly kind: 'bytes'; readonly bos: number | null; readonly eos: readonly number[] };
}

/**
 * A whole model. Leaves and nodes share one namespace of value ids; nodes stand in topological order.
 * `taps` name intermediate values for verification: they keep nothing alive, and a pass that replaces a value by an
 * equal one moves its taps along; taps of values that fusion removed are dropped.
 */
export interface Graph {
  readonly name: string;
  readonly symbols: readonly SymbolDim[];
  readonly inputs: readonly Input[];
  readonly weights: readonly Weight[];
  readonly states: readonly State[];
  readonly nodes: readonly Node[];
  readonly outputs: readonly Named[];
  readonly taps: readonly Named[];
  readonly meta: Meta;
}

export const typeText = (type: Type): string => `${type.dtype}[${type.shape.join(',')}]`;

export const sameShape = (a: readonly Dim[], b: readonly Dim[]): boolean =>
  a.length === b.length && a.every((d, i) => d === b[i]);

/** The type that ops compute with: f16 and bf16 are storage, arithmetic is f32 or wider. */
export const computedType = (type: Type): Type =>
  type.dtype === 'bf16' || type.dtype === 'f16' ? { dtype: 'f32', shape: type.shape } : type;

/** Whether a result inferred as `inferred` may be stated as `stated`: the same, or a float that is stored otherwise. */
export const storedAs = (inferred: Type, stated: Type): boolean =>
  sameType(computedType(inferred), computedType(stated));

export const sameType = (a: Type, b: Type): boolean => a.dtype === b.dtype && sameShape(a.shape, b.shape);
