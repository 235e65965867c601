// A model and its weights → a session, on either target: what the command runs models with.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { compile, type Model, trace } from './compile.ts';
import { describeGraph, loadInterpreted } from './interpret-engine.ts';
import {
  type DescribedTensor,
  type LoadedModel,
  loadNative,
  type Observe,
  requireAddon,
  Session,
  sessionSymbols,
  type WeightsLike,
} from './runtime/index.ts';

export interface OpenOptions {
  readonly target: 'cpu' | 'cuda' | 'simt' | 'interpreter';
  readonly march?: string | undefined;
  readonly threads?: number | undefined;
  /** Sequences that the session holds at once. */
  readonly maxSequences: number;
  /** Gives taps as further outputs: all of them on the interpreter, those that fusion keeps on cpu. */
  readonly taps?: boolean;
  /** What to note of every step. */
  readonly observe?: Observe | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (stage: string, fraction?: number) => void;
}

/** Inputs that a model's steps take. Throws what tracing throws. */
export const inputsOf = (model: Model): readonly DescribedTensor[] => describeGraph(trace(model)).inputs;

/**
 * Compiles the model where the target wants it, loads the weights, and opens a session; disposing it frees all of them.
 * @throws what compile, loading weights and opening sessions throw
 */
export async function openModel(model: Model, weights: WeightsLike, options: OpenOptions): Promise<Session> {
  const { threads, maxSequences } = options;
  const loaded = await (options.target === 'interpreter' ? interpreted : native)(model, weights, options);
  try {
    const engine = loaded.openEngine(sessionSymbols(loaded.model, { maxSequences }), threads, options.observe);
    const dispose = (): void => {
      engine.dispose();
      loaded.dispose();
    };
    return new Session({ ...engine, dispose });
  } catch (error) {
    loaded.dispose();
    throw error;
  }
}

async function native(model: Model, weights: WeightsLike, options: OpenOptions): Promise<LoadedModel> {
  const { target, march, threads, taps, signal, onProgress } = options;
  // Running a model leaves nothing behind but the cache: `compile` is the verb that writes a folder.
  const outDir = mkdtempSync(join(tmpdir(), `ultramem-${model.name}-`));
  let addon: ReturnType<typeof requireAddon>;
  try {
    const built = await compile(model, {
      target: target === 'interpreter' ? 'cpu' : target,
      outDir,
      signal,
      onProgress,
      ...(march !== undefined && { march }),
      ...(taps !== undefined && { taps }),
    });
    addon = requireAddon(pathToFileURL(built.addon).href, basename(built.addon));
  } finally {
    rmSync(outDir, { recursive: true, force: true });
  }
  return loadNative(addon, weights, {
    signal,
    onProgress: (fraction) => onProgress?.('loading weights', fraction),
    tokenizer: model.meta.tokenizer,
    ...(threads !== undefined && { threads }),
  });
}

async function interpreted(model: Model, weights: WeightsLike, options: OpenOptions): Promise<LoadedModel> {
  const { taps, signal, onProgress } = options;
  onProgress?.('loading weights');
  return loadInterpreted(trace(model), weights, { signal, ...(taps !== undefined && { taps }) });
}
