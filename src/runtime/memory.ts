// Bytes of loaded models and sessions: what they take, and what they will.

import { type DType, dtypeBytes } from '../support/dtype.ts';
import { type DescribedWeight, type ModelDescription, type SymbolValues, sizesOf } from './description.ts';
import { type MatchedWeight, storedDtype } from './weights.ts';

/** Bytes of loaded weights, by where they lie. */
export interface WeightsMemory {
  /** Converted, copied, or given as arrays. */
  readonly own: number;
  /** Made of weights when they loaded. */
  readonly prepared: number;
  /** Mapped from files as they are; and the pages of that in memory now, for this process or another. */
  readonly mapped: number;
  readonly mappedResident: number;
  /** The same of weights that stay in their file. */
  readonly inFile: number;
  readonly inFileResident: number;
  /** On a device, and pinned for it. */
  readonly device: number;
}

export const noWeights: WeightsMemory = {
  own: 0,
  prepared: 0,
  mapped: 0,
  mappedResident: 0,
  inFile: 0,
  inFileResident: 0,
  device: 0,
};

/** Bytes of a session, where its steps run. */
export interface SessionMemory {
  /** Kept across steps, for all its sequences. */
  readonly states: number;
  readonly arena: number;
  /** Of all its threads. */
  readonly scratch: number;
}

/** What a model and a session on it take now. */
export interface MemoryUse {
  readonly weights: WeightsMemory;
  readonly session: SessionMemory;
  /** What was to be expected before the weights loaded; undefined where nobody estimated. */
  readonly expected?: MemoryEstimate;
  /** Of the whole process: all its pages in memory, those of mapped files included. */
  readonly rss: number;
}

/** What loading will take, from the header of a checkpoint alone. */
export interface LoadEstimate {
  /** Mapped as they are: not memory of the process's own. */
  readonly mapped: number;
  readonly inFile: number;
  /** Own memory that stays. */
  readonly own: number;
  readonly prepared: number;
  /** Own memory that is freed once the model is loaded. */
  readonly passing: number;
}

/** What a model and a session will take. */
export interface MemoryEstimate {
  readonly weights: LoadEstimate;
  /** Scratch of threads, some hundred KiB each, apart; on a device its room for inputs and outputs as well. */
  readonly session: Pick<SessionMemory, 'states' | 'arena'>;
}

/** What the estimate needs of a model. */
export interface LoadedSizes {
  readonly weights: readonly (Pick<DescribedWeight, 'name' | 'dtype' | 'placement'> & {
    readonly retained: boolean;
  })[];
  readonly preparedBytes: number;
  readonly prepareBytes: number;
}

/** By weights as a checkpoint stores them. Absent optional ones are zeros that nobody touches. */
export function estimateLoad(model: LoadedSizes, matched: readonly MatchedWeight[], copy = false): LoadEstimate {
  const sum = { mapped: 0, inFile: 0, own: 0, passing: model.prepareBytes };
  for (const [i, { dtype, placement, retained }] of model.weights.entries()) {
    const { found, shape } = matched[i]!;
    if (found === undefined) continue;
    if (!('path' in found)) sum.passing += found.data.byteLength; // arrays are copied at once
    const bytes = bytesOf(dtype, shape);
    const stored = storedDtype(found).toLowerCase() as DType;
    const inFile = placement === 'file';
    const asIs = 'path' in found && stored === dtype && found.begin % dtypeBytes[dtype] === 0;
    if (asIs && (inFile || !copy || !retained)) {
      if (retained) sum[inFile ? 'inFile' : 'mapped'] += bytes;
    } else {
      sum[retained ? 'own' : 'passing'] += bytes;
    }
  }
  return { ...sum, prepared: model.preparedBytes };
}

/** Bytes of the states of a session with these symbols. */
export const statesBytes = ({ states }: Pick<ModelDescription, 'states'>, symbols: SymbolValues): number =>
  states.reduce((sum, { dtype, shape }) => sum + bytesOf(dtype, sizesOf(shape, symbols)), 0);

const bytesOf = (dtype: DType, sizes: readonly number[]): number => sizes.reduce((n, d) => n * d, dtypeBytes[dtype]);
