// The typed face of native/addon/addon.cc: what an emitted model's .node exports.

import type { DType } from '../support/dtype.ts';
import type { Tensor } from '../support/tensor.ts';
import type { DescribedSymbol, DescribedTensor, DescribedWeight } from './description.ts';

/** Version of this interface; `api` of the addon must equal it. */
export const addonApi = 1;

export interface NativeVariant {
  readonly name: string;
  readonly maxTokens: number;
  readonly arenaBytes: number;
}

export interface NativeDescription {
  readonly name: string;
  /** Of everything that went into the binary. */
  readonly digest: string;
  readonly march: string;
  readonly symbols: readonly DescribedSymbol[];
  readonly inputs: readonly DescribedTensor[];
  readonly outputs: readonly DescribedTensor[];
  readonly weights: readonly (DescribedWeight & { readonly retained: boolean })[];
  readonly states: readonly DescribedTensor[];
  readonly variants: readonly NativeVariant[];
  readonly preparedBytes: number;
  readonly prepareBytes: number;
}

/** Elements of a weight: bytes of a file from `begin` on, an array, or null for zeros. `dtype` is the stored one. */
export type NativeSource =
  | { readonly path: string; readonly begin: number; readonly dtype: DType }
  | { readonly data: Tensor['data']; readonly dtype: DType }
  | null;

export interface NativeWeights {
  load(sources: readonly NativeSource[], threads: number, copy: boolean): Promise<void>;
  cancel(): void;
  progress(): [done: number, total: number];
  bytes(): number;
  dispose(): void;
}

/** What a session notes of its steps besides their outputs. */
export interface Observe {
  /** Folder that every launch's memory is written to, before and after; the simt target alone can. */
  readonly trace?: string;
}

export interface NativeSession {
  step(
    symbols: readonly number[],
    inputs: readonly Tensor['data'][],
    outputs: readonly Tensor['data'][],
  ): Promise<void>;
  cancel(): void;
  bytes(): number;
  dispose(): void;
}

export interface NativeAddon {
  readonly api: number;
  describe(): NativeDescription;
  readonly Weights: new () => NativeWeights;
  readonly Session: new (
    weights: NativeWeights,
    threads: number,
    symbols: readonly number[],
    observe?: Observe,
  ) => NativeSession;
}
