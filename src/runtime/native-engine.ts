// Steps by an emitted model's native addon, off the event loop.

import { availableParallelism } from 'node:os';
import { type DType, dtypeBytes } from '../support/dtype.ts';
import { cudaFault } from '../support/errors/cuda.ts';
import {
  aborted,
  addonIncompatible,
  cannotObserve,
  disposed,
  kernelFinding,
  memoryTooSmall,
  optionInvalid,
  outOfMemory,
  stepFailed,
} from '../support/errors/session.ts';
import { traceUnwritable } from '../support/errors/trace.ts';
import {
  safetensorsTruncated,
  weightsFileChanged,
  weightsNotFinite,
  weightsScaleInvalid,
  weightsUnreadable,
  weightsValueRange,
} from '../support/errors/weights.ts';
import { UltramemError } from '../support/errors.ts';
import type { OnProgress, Progress } from '../support/progress.ts';
import { type Tensor, zeros } from '../support/tensor.ts';
import { memoryRoom } from './available-memory.ts';
import { choiceWords } from './choice-words.ts';
import { readableAs } from './convert.ts';
import { type ModelDescription, type SymbolValues, sizesOf, type TokenizerDescription } from './description.ts';
import type { Engine, EngineStep, LoadedModel } from './engine.ts';
import { followLoad } from './load-progress.ts';
import { estimateLoad, type LoadEstimate, statesBytes } from './memory.ts';
import {
  addonApi,
  type LaunchCounters,
  type NativeAddon,
  type NativeDescription,
  type NativePlace,
  type NativeSession,
  type NativeSource,
  type NativeWeights,
  type Observe,
} from './native-addon.ts';
import type { StoredTensor } from './safetensors.ts';
import type { Choice } from './sampling.ts';
import { Staging } from './staging.ts';
import { awake } from './stay-awake.ts';
import {
  type MatchedWeight,
  type MatchOptions,
  matchWeights,
  requireInPlace,
  storedDtype,
  type WeightsLike,
} from './weights.ts';

export interface LoadOptions extends MatchOptions {
  /** Threads of loading, and of a session where it does not say; default: one per core. */
  readonly threads?: number;
  /**
   * Keep weights that steps read in memory of our own, with huge pages, in place of mapping their file; default false.
   * Quicker look-ups, slower loading, and no harm when another process shortens the file (steps on a mapping end with the error
   * weights-file-changed then). Tables that the model places in their file are mapped all the same.
   */
  readonly copy?: boolean;
  readonly signal?: AbortSignal | undefined;
  /**
   * Called when loading begins (done 0), ten times a second at most while it goes on, and once at its end (done = total). Both are bytes
   * of everything that is read, checked, prepared or moved, whatever the stage: weights that stay where they lie in their file count
   * for nothing. What it throws ends the load, which rejects with that.
   */
  readonly onProgress?: OnProgress | undefined;
}

/** An engine whose steps an addon runs. */
export interface NativeEngine extends Engine {
  /** What every launch of the last step did, in order; empty unless the engine was opened to observe counters. */
  counters(): readonly LaunchCounters[];
}

/** Weights that an addon holds. */
export interface NativeModel extends LoadedModel {
  /** @throws UltramemError out-of-memory, disposed, cannot-observe where the target cannot do what `observe` asks */
  openEngine(symbols: SymbolValues, threads?: number, observe?: Observe): NativeEngine;
}

/**
 * Maps, checks, converts and prepares the weights in the background.
 * @param addon what `require` of the emitted .node gives
 * @throws UltramemError weights-*, safetensors-*, out-of-memory, aborted, addon-incompatible
 */
export async function loadNative(
  addon: NativeAddon,
  weights: WeightsLike,
  options: LoadOptions & { readonly tokenizer?: TokenizerDescription | undefined } = {},
): Promise<NativeModel> {
  if (addon.api !== addonApi) throw addonIncompatible('the addon', addon.api, addonApi);
  const { signal, onProgress, tokenizer } = options;
  const description = addon.describe();
  const model: ModelDescription = tokenizer === undefined ? description : { ...description, tokenizer };
  const matched = await matchWeights(model, weights, options);
  requireInPlace(matched);
  if (signal?.aborted) throw aborted('loading weights', signal.reason);
  const expected = estimateLoad(description, matched.weights, options.copy);
  requireRoom(
    `loading ${model.name}`,
    expected.own + expected.prepared + expected.passing + (description.onDevice ? expected.inFile : 0),
    "Leave tables in their file (placement: 'file'), store weights as the model reads them (--precision bf16 for those of bf16)",
  );
  const native = new addon.Weights();
  const threads = checkThreads(options.threads ?? availableParallelism());
  const cancel = () => native.cancel();
  const load = async () => {
    try {
      await native.load(matched.weights.map(nativeSource), threads, options.copy ?? false);
    } catch (error) {
      throw fromNative(error, matched.source, 'loading weights', signal);
    }
  };
  signal?.addEventListener('abort', cancel);
  try {
    await followLoad(load, () => progressOf(native), cancel, onProgress);
    if (signal?.aborted) throw aborted('loading weights', signal.reason);
  } catch (error) {
    native.dispose();
    throw error;
  } finally {
    signal?.removeEventListener('abort', cancel);
  }
  const dispose = () => native.dispose();
  return {
    model,
    get bytes() {
      return native.bytes();
    },
    openEngine: (symbols, own = threads, observe = {}) =>
      openEngine(addon, native, description, { model, symbols, threads: own, observe, expected }),
    dispose,
    [Symbol.dispose]: dispose,
  };
}

interface SessionPlan {
  readonly model: ModelDescription;
  readonly symbols: SymbolValues;
  readonly threads: number;
  readonly observe: Observe;
  readonly expected: LoadEstimate;
}

function openEngine(
  addon: NativeAddon,
  weights: NativeWeights,
  { samples, variants }: NativeDescription,
  { model, symbols, threads, observe, expected }: SessionPlan,
): NativeEngine {
  const estimate = {
    states: statesBytes(model, symbols),
    arena: Math.max(0, ...variants.map(({ arenaBytes }) => arenaBytes)),
  };
  const sequences = Object.entries(symbols).map(([name, value]) => `${name} = ${value}`);
  requireRoom(
    `a session of ${model.name}${sequences.length === 0 ? '' : ` with ${sequences.join(', ')}`}`,
    estimate.states + estimate.arena,
    'Lower maxSequences or the model’s context',
  );
  const values = (step: SymbolValues) => model.symbols.map(({ name, bound }) => step[name] ?? symbols[name] ?? bound);
  let session: NativeSession;
  try {
    session = new addon.Session(weights, checkThreads(threads), values({}), observe);
  } catch (error) {
    throw fromNative(error, model.name, 'opening a session', undefined);
  }
  let gone = false;
  /** Runs a step; `finish` hands it to the addon, from the values of its symbols and its inputs on. */
  async function run<R>(
    { inputs, symbols: step, signal }: EngineStep,
    finish: (...handed: [values: number[], inputs: Tensor['data'][]]) => Promise<R>,
  ): Promise<R> {
    if (gone) throw disposed('the session');
    if (signal?.aborted) throw aborted('the step', signal.reason);
    const cancel = () => session.cancel();
    signal?.addEventListener('abort', cancel);
    try {
      const data = model.inputs.map(({ name }) => inputs[name]!.data);
      return await awake(threads, finish(values(step), data));
    } catch (error) {
      throw gone ? disposed('the session') : fromNative(error, model.name, 'the step', signal);
    } finally {
      signal?.removeEventListener('abort', cancel);
    }
  }
  function dispose(): void {
    gone = true;
    session.dispose();
  }
  const stays = model.outputs.map(() => null);
  const outputsOf = outputsAhead(model);
  return {
    model,
    symbols,
    staging: new Staging(),
    step: (step) =>
      run(step, async (...handed) => {
        const sizes = { ...symbols, ...step.symbols };
        const outputs = outputsOf.take(sizes, step.outputs);
        const running = session.step(
          ...handed,
          outputs.map(({ data }) => data),
        );
        if (step.outputs === undefined) outputsOf.prepare(sizes);
        await running;
        return Object.fromEntries(model.outputs.map(({ name }, i) => [name, outputs[i]! as Tensor]));
      }),
    ...(samples && {
      sample: (step: EngineStep, choices: readonly Choice[]) =>
        run(step, async (...handed) => {
          const tokens = new Int32Array(choices.length);
          await session.step(...handed, stays, choiceWords(choices), tokens);
          return tokens;
        }),
    }),
    async copySequence(from, to) {
      if (gone) throw disposed('the session');
      try {
        await session.copySequence(from, to);
      } catch (error) {
        throw gone ? disposed('the session') : fromNative(error, model.name, 'the copy', undefined);
      }
    },
    counters() {
      if (gone) throw disposed('the session');
      return session.counters();
    },
    memory() {
      if (gone) throw disposed('the session');
      return {
        weights: weights.memory(),
        session: session.memory(),
        expected: { weights: expected, session: estimate },
        rss: process.memoryUsage.rss(),
      };
    },
    dispose,
    [Symbol.dispose]: dispose,
  };
}

/** What is made ahead at most. */
const mostBytesAhead = 4 * 1024 * 1024;

/**
 * Arrays for the outputs of steps. Fresh ones of some size take the system a while, so those for a next step of the same sizes are
 * made while one runs.
 */
function outputsAhead({ outputs }: ModelDescription) {
  const make = (sizes: SymbolValues) => outputs.map(({ dtype, shape }) => zeros(dtype, sizesOf(shape, sizes)));
  const keyOf = (sizes: SymbolValues) => Object.values(sizes).join();
  let ahead: { readonly key: string; readonly tensors: readonly Tensor[] } | undefined;
  return {
    /** `given` by name, and the rest. */
    take(sizes: SymbolValues, given: EngineStep['outputs']): readonly Tensor[] {
      if (given !== undefined) {
        return outputs.map(({ name, dtype, shape }) => given[name] ?? zeros(dtype, sizesOf(shape, sizes)));
      }
      const made = ahead;
      ahead = undefined;
      return made !== undefined && made.key === keyOf(sizes) ? made.tensors : make(sizes);
    },
    prepare(sizes: SymbolValues): void {
      const bytes = outputs.reduce(
        (sum, { dtype, shape }) => sum + dtypeBytes[dtype] * sizesOf(shape, sizes).reduce((n, d) => n * d, 1),
        0,
      );
      if (bytes <= mostBytesAhead) ahead = { key: keyOf(sizes), tensors: make(sizes) };
    },
  };
}

/** Fails before memory is taken that is not there: the system would rather end the process than refuse it. */
function requireRoom(what: string, wanted: number, ways: string): void {
  const room = memoryRoom();
  if (room !== undefined && wanted > room.bytes) throw memoryTooSmall(what, wanted, room, ways);
}

function checkThreads(threads: number): number {
  if (Number.isInteger(threads) && threads >= 1 && threads <= 1024) return threads;
  throw optionInvalid('threads', threads, 'an integer from 1 to 1024');
}

function nativeSource({ found, scale }: MatchedWeight): NativeSource {
  if (found === undefined) return null;
  if (scale === undefined) return nativePlace(found);
  const { shared, inner } = scale;
  return { ...nativePlace(found), scale: nativePlace(scale.found), shared, inner };
}

function nativePlace(found: StoredTensor | Tensor): NativePlace {
  const [dtype] = readableAs(storedDtype(found)) as [DType];
  return 'path' in found ? { path: found.path, begin: found.begin, dtype } : { data: found.data, dtype };
}

const stages = ['reading weights', 'preparing weights', 'moving weights to the device'] as const;

function progressOf(native: NativeWeights): Required<Progress> {
  const [stage, done, total] = native.progress();
  return { stage: stages[stage], done, total };
}

/** An error of the addon as one of the catalogue. */
function fromNative(error: unknown, source: string, what: string, signal: AbortSignal | undefined): Error {
  if (error instanceof UltramemError) return error;
  if (!(error instanceof Error)) return stepFailed(String(error), error);
  if (error instanceof RangeError) return outOfMemory(`no memory for the outputs of ${what}`, error);
  const { code, subject } = error as Error & { code?: string; subject?: string };
  switch (code) {
    case 'aborted':
      return aborted(what, signal?.reason);
    case 'cannot-observe':
      return cannotObserve(error.message, subject ?? source, error);
    case 'disk-full':
    case 'folder-not-writable':
      return traceUnwritable(code, subject ?? '', error.message, error);
    case 'disposed':
      return disposed(what === 'the step' ? 'the session' : 'the model');
    case 'kernel-finding':
      return kernelFinding(error.message, subject ?? '', error);
    case 'out-of-memory':
      return outOfMemory(error.message, error);
    case 'safetensors-truncated':
      return safetensorsTruncated(subject ?? source, 'it is shorter than when its header was read');
    case 'weights-file-changed':
      return weightsFileChanged(subject ?? source, error.message);
    case 'weights-unreadable':
      return weightsUnreadable(subject ?? source, error.message, error);
    case 'weights-not-finite':
      return weightsNotFinite(source, subject ?? '', error.message);
    case 'weights-scale-invalid':
      return weightsScaleInvalid(source, subject ?? '', error.message);
    case 'weights-value-range':
      return weightsValueRange(source, subject ?? '', error.message);
    default:
      return cudaFault(code, error, subject) ?? stepFailed(error.message, error);
  }
}
