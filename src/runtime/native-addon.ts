// The typed face of native/addon/addon.cc: what an emitted model's .node exports.

import type { DType } from '../support/dtype.ts';
import type { Tensor } from '../support/tensor.ts';
import type { DescribedSymbol, DescribedTensor, DescribedWeight } from './description.ts';
import type { SessionMemory, WeightsMemory } from './memory.ts';

/** Version of this interface; `api` of the addon must equal it. */
export const addonApi = 4;

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
  /** Steps run on a device; tables that stay in their file lie in pinned memory of the host then. */
  readonly onDevice: boolean;
  /** Steps can choose tokens from output `logits` where it lies, and leave it there. */
  readonly samples: boolean;
  readonly preparedBytes: number;
  readonly prepareBytes: number;
}

/** Where elements are: bytes of a file from `begin` on, or an array. `dtype` is the stored one. */
export type NativePlace =
  | { readonly path: string; readonly begin: number; readonly dtype: DType }
  | { readonly data: Tensor['data']; readonly dtype: DType };

/**
 * Elements of a weight; null for zeros. Quantised ones that the model wants as floats come with their scales: element (block, k, i)
 * of blocks of shared × inner has scale (block, i).
 */
export type NativeSource =
  | NativePlace
  | (NativePlace & { readonly scale: NativePlace; readonly shared: number; readonly inner: number })
  | null;

export interface NativeWeights {
  load(sources: readonly NativeSource[], threads: number, copy: boolean): Promise<void>;
  cancel(): void;
  /** 0: reading, 1: preparing, 2: moving to a device; bytes done, and in all, of everything. */
  progress(): [stage: 0 | 1 | 2, done: number, total: number];
  bytes(): number;
  memory(): WeightsMemory;
  dispose(): void;
}

/** What a session notes of its steps besides their outputs. */
export interface Observe {
  /** Count what every kernel does; the simt target alone can. */
  readonly counters?: boolean;
  /** Folder that every launch's memory is written to, before and after; the simt target alone can. */
  readonly trace?: string;
}

/** What one launch did, as native/simt/simt.h counts it. */
export interface LaunchCounters {
  /** Requests to global memory: one per warp and place in the code; 32-byte sectors they touch; bytes that threads asked for. */
  readonly loadRequests: number;
  readonly loadSectors: number;
  readonly bytesLoaded: number;
  readonly storeRequests: number;
  readonly storeSectors: number;
  readonly bytesStored: number;
  /** Sectors of all requests of the launch, each once. */
  readonly distinctLoadSectors: number;
  readonly distinctStoreSectors: number;
  /** Requests to shared memory, and the passes they need beyond one each. */
  readonly sharedRequests: number;
  readonly bankConflicts: number;
  /** Threads of the warp that took no part, over all requests. */
  readonly idleLanes: number;
  readonly atomics: number;
  readonly barriers: number;
  readonly mma: number;
}

export interface NativeSession {
  step(
    symbols: readonly number[],
    inputs: readonly Tensor['data'][],
    /** Null: not wanted, where the model samples. */
    outputs: readonly (Tensor['data'] | null)[],
    /** Where the model samples, and as many `tokens`: see choiceWords. */
    choices?: BigInt64Array,
    tokens?: Int32Array,
  ): Promise<void>;
  /** What every state [S,…] holds of one sequence, to another. Not during a step. */
  copySequence(from: number, to: number): Promise<void>;
  cancel(): void;
  /** Of every launch of the last step, in order; empty where they are not observed. Not during a step. */
  counters(): LaunchCounters[];
  bytes(): number;
  memory(): SessionMemory;
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
