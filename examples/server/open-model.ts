// A model file and its weights → a compiled model, loaded: as a program does it that knows its model only when it starts.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { compile, loadModel, type Precision, type TableType } from 'ultramem/compile';
import type { CompiledModel, CompiledModelOptions } from 'ultramem/runtime';

export interface OpenOptions {
  /** TypeScript file of the model. */
  readonly model: string;
  readonly weights: string;
  /** JSON file handed to the model file where it exports a function. */
  readonly config?: string;
  readonly target: 'cpu' | 'cuda' | 'simt';
  readonly precision?: Precision;
  readonly tables?: TableType;
  /** Folder of the compiled model; default `generated/<name>`. */
  readonly out?: string;
  readonly maxSequences: number;
  readonly threads?: number;
  readonly signal: AbortSignal;
  readonly onProgress: (stage: string, fraction?: number) => void;
}

/** What the compiler emits for every model: a class named after it. */
interface GeneratedClass {
  load(weights: string, options: CompiledModelOptions): Promise<CompiledModel>;
}

/** @throws what reading the model, compiling and loading throw */
export async function openModel(options: OpenOptions): Promise<CompiledModel> {
  const { target, precision, tables, out, weights, maxSequences, threads, signal, onProgress } = options;
  onProgress('reading the model');
  const config: unknown = options.config === undefined ? undefined : JSON.parse(await readFile(options.config, 'utf8'));
  const model = await loadModel(options.model, config);
  const { dir } = await compile(model, {
    ...{ target, precision, tables, signal, onProgress },
    ...(out !== undefined && { outDir: out }),
  });
  const generated: Record<string, unknown> = await import(pathToFileURL(join(dir, 'model.ts')).href);
  const [compiled] = Object.values(generated).filter(isGeneratedClass);
  return compiled!.load(weights, {
    ...{ maxSequences, signal },
    onProgress: (fraction) => onProgress('loading weights', fraction),
    ...(threads !== undefined && { threads }),
  });
}

const isGeneratedClass = (value: unknown): value is GeneratedClass =>
  typeof value === 'function' && typeof (value as Partial<GeneratedClass>).load === 'function';
