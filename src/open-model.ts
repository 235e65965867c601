// A model and its weights → a session, on any target, in one call: what the command runs models with, and the public face `ultramem/open`.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { compile, fusedGraph, type Model, type Precision, type TableType, trace } from './compile.ts';
import { describeGraph, loadInterpreted } from './interpret-engine.ts';
import { cudaObstacle } from './machine.ts';
import {
  type BatchOptions,
  type LoadedModel,
  loadNative,
  type ModelDescription,
  type NativeModel,
  type Observe,
  requireAddon,
  Session,
  sessionSymbols,
  type WeightsLike,
} from './runtime/index.ts';
import { isAvoidable } from './support/errors/cuda.ts';
import type { OnProgress } from './support/progress.ts';

export interface OpenOptions extends BatchOptions {
  /** `auto`: cuda where this machine has what it takes, else cpu; `onTarget` hears which, and why. */
  readonly target: 'auto' | 'cpu' | 'cuda' | 'simt' | 'interpreter';
  readonly march?: string | undefined;
  readonly threads?: number | undefined;
  /** Default f32. The interpreter takes bf16 as the fused graph that devices run stores it. */
  readonly precision?: Precision | undefined;
  /** See CompileOptions; the interpreter takes them as it takes bf16. */
  readonly tables?: TableType | undefined;
  /** Sequences that the session holds at once; default as SessionOptions. */
  readonly maxSequences?: number;
  /** Gives taps as further outputs: all of them on the interpreter, those that fusion keeps on cpu. */
  readonly taps?: boolean;
  /** What to note of every step. */
  readonly observe?: Observe | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: OnProgress | undefined;
  /** What `auto` came to. Default: a warning of the process, so that it is never silent. */
  readonly onTarget?: (target: 'cpu' | 'cuda', why: string) => void;
}

/** What a model takes and gives, by name. Throws what tracing throws. */
export const describeModel = (model: Model): ModelDescription => describeGraph(trace(model));

/**
 * Compiles the model where the target wants it, loads the weights, and opens a session; disposing it frees all of them.
 * @throws what compile, loading weights and opening sessions throw; for cuda no-driver, no-device and driver-too-old, before
 * anything is compiled where that shows
 */
export async function openModel(model: Model, weights: WeightsLike, options: OpenOptions): Promise<Session> {
  return options.target === 'auto'
    ? openWhere(model, weights, options)
    : openOn(options.target, model, weights, options);
}

/** On a device where there is one that can run the model, else on the CPU. */
async function openWhere(model: Model, weights: WeightsLike, options: OpenOptions): Promise<Session> {
  const onTarget = options.onTarget ?? ((target, why) => process.emitWarning(`target ${target}: ${why}`));
  try {
    const session = await openOn('cuda', model, weights, options);
    onTarget('cuda', 'there are a driver, a device, and kernels for it');
    return session;
  } catch (error) {
    if (!isAvoidable(error)) throw error;
    onTarget('cpu', error.message);
    return openOn('cpu', model, weights, options);
  }
}

type FixedTarget = Exclude<OpenOptions['target'], 'auto'>;

async function openOn(target: FixedTarget, model: Model, weights: WeightsLike, options: OpenOptions): Promise<Session> {
  const { threads, maxSequences } = options;
  const loaded = await (target === 'interpreter'
    ? interpreted(model, weights, options)
    : loadCompiled(model, weights, { ...options, target }));
  try {
    const engine = loaded.openEngine(
      sessionSymbols(loaded.model, maxSequences === undefined ? {} : { maxSequences }),
      threads,
      options.observe,
    );
    const dispose = (): void => {
      engine.dispose();
      loaded.dispose();
    };
    return new Session({ ...engine, dispose, [Symbol.dispose]: dispose }, options);
  } catch (error) {
    loaded.dispose();
    throw error;
  }
}

/** How a model is compiled and its weights are loaded. */
export interface CompiledOptions
  extends Pick<OpenOptions, 'precision' | 'tables' | 'march' | 'threads' | 'taps' | 'signal' | 'onProgress'> {
  readonly target: 'cpu' | 'cuda' | 'simt';
  /** See CompileOptions. */
  readonly fuse?: boolean;
}

/**
 * Compiles a model and loads its weights into the addon.
 * @throws what compile and loadNative throw
 */
export async function loadCompiled(model: Model, weights: WeightsLike, options: CompiledOptions): Promise<NativeModel> {
  const { target, precision, tables, march, threads, taps, fuse, signal, onProgress } = options;
  const obstacle = target === 'cuda' ? await cudaObstacle() : undefined;
  if (obstacle !== undefined) throw obstacle;
  // Running a model leaves nothing behind but the cache: `compile` is the verb that writes a folder.
  const outDir = mkdtempSync(join(tmpdir(), `ultramem-${model.name}-`));
  let addon: ReturnType<typeof requireAddon>;
  try {
    const built = await compile(model, {
      target,
      outDir,
      precision,
      tables,
      signal,
      onProgress,
      ...(march !== undefined && { march }),
      ...(taps !== undefined && { taps }),
      ...(fuse !== undefined && { fuse }),
    });
    addon = requireAddon(pathToFileURL(built.addon).href, basename(built.addon));
  } finally {
    rmSync(outDir, { recursive: true, force: true });
  }
  return loadNative(addon, weights, {
    signal,
    onProgress,
    tokenizer: model.meta.tokenizer,
    ...(threads !== undefined && { threads }),
  });
}

async function interpreted(model: Model, weights: WeightsLike, options: OpenOptions): Promise<LoadedModel> {
  const { taps, precision, tables, signal, onProgress } = options;
  const asked = taps === undefined ? {} : { taps };
  // What is stored narrow follows from fusion, whose taps are outputs.
  if (precision === 'bf16' || tables !== undefined) {
    const graph = fusedGraph(trace(model), { precision, tables, target: 'simt', ...asked });
    return loadInterpreted(graph, weights, { signal, onProgress });
  }
  return loadInterpreted(trace(model), weights, { signal, onProgress, ...asked });
}
