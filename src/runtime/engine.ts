// What runs steps: native code, or the interpreter. A session stands on one and checks what goes in.

import type { Tensor } from '../support/tensor.ts';
import type { ModelDescription, SymbolValues } from './description.ts';
import type { MemoryUse } from './memory.ts';
import type { Observe } from './native-addon.ts';
import type { GivenOutputs } from './outputs.ts';
import type { Choice } from './sampling.ts';
import type { Staging } from './staging.ts';

/** What every call on a session may say. */
export interface CallOptions {
  /** Aborts the call with the error `aborted`, whether it waits or runs. */
  readonly signal?: AbortSignal | undefined;
}

/** What a step may be told besides. */
export interface ForwardOptions extends CallOptions {
  /**
   * Arrays that outputs are written to, in place of fresh ones: a program that runs large steps one after another then makes no
   * garbage. Left alone by the caller until the call settles; outputs that are not named are made.
   */
  readonly outputs?: GivenOutputs | undefined;
}

/** One step's arguments, already checked: every input has its declared type; every symbol of the model has a value. */
export interface EngineStep {
  readonly inputs: Readonly<Record<string, Tensor>>;
  readonly symbols: SymbolValues;
  readonly signal: AbortSignal | undefined;
  /** Where outputs may be written in place; an engine that cannot gives others, and they are copied. */
  readonly outputs?: Readonly<Record<string, Tensor>> | undefined;
}

export interface Engine extends Disposable {
  readonly model: ModelDescription;
  /** Values of the session symbols. */
  readonly symbols: SymbolValues;
  /**
   * Runs one step and updates the states. One at a time; a session queues. Inputs must be left alone until it settles.
   * @throws UltramemError aborted, disposed, out-of-memory, step-failed
   */
  step(step: EngineStep): Promise<Record<string, Tensor>>;
  /**
   * As step, but chooses tokens from the rows of output `logits` where they lie: the same tokens as chooseTokens gives.
   * Absent where logits come out anyway.
   */
  sample?(step: EngineStep, choices: readonly Choice[]): Promise<Int32Array>;
  /** What it and the weights take now. Looks at every page of mapped files: not for every step. */
  memory(): MemoryUse;
  /**
   * Copies what the states hold of one sequence to another. As a step: one at a time.
   * @throws UltramemError disposed, step-failed
   */
  copySequence(from: number, to: number): Promise<void>;
  /** Where copies of inputs come from, and go when their step has settled; absent where outputs may share their memory. */
  readonly staging?: Staging;
  /** Frees what is the engine's own. Safe during a step, which is cancelled; safe twice. */
  dispose(): void;
}

/** Weights of one model, loaded and prepared; any number of engines share them. */
export interface LoadedModel extends Disposable {
  readonly model: ModelDescription;
  /** Memory held besides mapped files and sessions. */
  readonly bytes: number;
  /**
   * States, memory and threads for one session.
   * @param threads default: as many as loading was allowed
   * @param observe what to note of every step; the simt target alone can
   * @throws UltramemError out-of-memory, disposed, cannot-observe
   */
  openEngine(symbols: SymbolValues, threads?: number, observe?: Observe): Engine;
  /** Frees the memory once the last engine on it is disposed. */
  dispose(): void;
}
