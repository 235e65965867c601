// A model file, weights and a target → a session. What `generate` and `run` begin with.

import type { Model, Precision, TableType } from '../compile.ts';
import type { OpenOptions } from '../open-model.ts';
import type { Session } from '../runtime/index.ts';
import { readConfig, type Target, tellTarget } from './options.ts';
import type { Terminal } from './terminal.ts';

/** Flags of the verbs that run a model. */
export interface SessionFlags {
  readonly config?: string;
  readonly target: Target;
  readonly precision: Precision;
  readonly tables?: TableType;
  readonly march: string;
  readonly threads?: number;
  readonly weights: string;
}

/** Loads the model file with its config. */
export async function readModel(terminal: Terminal, file: string, flags: { readonly config?: string }): Promise<Model> {
  const { loadModel } = await import('../compile.ts');
  terminal.progress({ stage: 'reading the model' });
  return loadModel(file, readConfig(flags.config));
}

/** Compiles the model for its target and loads its weights; progress goes to the terminal. */
export async function openSession(
  terminal: Terminal,
  model: Model,
  flags: SessionFlags,
  maxSequences: number,
  { observe, onTarget = tellTarget(terminal) }: Pick<OpenOptions, 'observe' | 'onTarget'> = {},
): Promise<Session> {
  const { openModel } = await import('../open-model.ts');
  return openModel(model, flags.weights, {
    target: flags.target,
    precision: flags.precision,
    tables: flags.tables,
    march: flags.march,
    threads: flags.threads,
    maxSequences,
    onTarget,
    observe,
    signal: terminal.signal,
    onProgress: terminal.progress,
  });
}
