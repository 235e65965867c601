// What the runtime knows of a model: names, types and bounds of all that goes in and out.

import type { DType } from '../support/dtype.ts';

/** A size, or the name of a symbol of the model. */
export type DescribedDim = number | string;

export interface DescribedTensor {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly DescribedDim[];
  /** Integers: exclusive upper bound of every element; the lower is 0. */
  readonly below: DescribedDim | undefined;
}

export interface DescribedWeight extends DescribedTensor {
  /** Zeros stand in when the checkpoint lacks it. */
  readonly optional: boolean;
  /** `file`: rows are gathered from the mapped file, which is never read as a whole. */
  readonly placement: 'memory' | 'file';
}

export interface DescribedSymbol {
  readonly name: string;
  /** Inclusive. */
  readonly bound: number;
  readonly scope: 'step' | 'session';
}

/** How text becomes ids: raw bytes, with an optional id put before every sequence and ids that end one. */
export interface TokenizerDescription {
  readonly kind: 'bytes';
  readonly bos: number | null;
  readonly eos: readonly number[];
}

export interface ModelDescription {
  readonly name: string;
  readonly symbols: readonly DescribedSymbol[];
  readonly inputs: readonly DescribedTensor[];
  readonly outputs: readonly DescribedTensor[];
  readonly weights: readonly DescribedWeight[];
  readonly states: readonly DescribedTensor[];
  readonly tokenizer?: TokenizerDescription;
}

/** Values of symbols by name. */
export type SymbolValues = Readonly<Record<string, number>>;

/** A shape with the symbols filled in. */
export const sizesOf = (shape: readonly DescribedDim[], symbols: SymbolValues): number[] =>
  shape.map((dim) => (typeof dim === 'number' ? dim : symbols[dim]!));

export const describedType = (tensor: { readonly dtype: DType; readonly shape: readonly DescribedDim[] }): string =>
  `${tensor.dtype}[${tensor.shape.join(',')}]`;

/** The exclusive bound of an input's elements where the model states a number; else infinity. */
export function boundOf({ inputs }: Pick<ModelDescription, 'inputs'>, input: string): number {
  const below = inputs.find(({ name }) => name === input)?.below;
  return typeof below === 'number' ? below : Number.POSITIVE_INFINITY;
}

/** Tokens of a step at most: 1 for a model whose steps are all of one size. */
export const mostTokens = ({ symbols }: Pick<ModelDescription, 'symbols'>): number =>
  symbols.find(({ scope }) => scope === 'step')?.bound ?? 1;

/** Whether steps run tokens of sequences: inputs ids, positions and sequence, i32[T], and logits come out. */
export function isLanguageModel(model: Pick<ModelDescription, 'inputs' | 'outputs'>): boolean {
  const token = (name: string) =>
    model.inputs.some((t) => t.name === name && t.dtype === 'i32' && t.shape.length === 1);
  const logits = model.outputs.find((t) => t.name === 'logits');
  return (
    model.inputs.length === 3 &&
    ['ids', 'positions', 'sequence'].every(token) &&
    logits?.dtype === 'f32' &&
    logits.shape.length === 2
  );
}
