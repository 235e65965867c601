// The compiler on one page: a model through graph, passes, plan and text to an addon. Nothing else knows the order.

import { basename, resolve } from 'node:path';
import { type BuildOptions, type Built, buildAddon } from './build/build-addon.ts';
import { dumpStages } from './build/dump-stages.ts';
import { importModel } from './build/load-model.ts';
import type { KernelResources } from './build/ptxas-report.ts';
import { emit, type Files } from './codegen/emit.ts';
import { describeKernels, jsonText } from './codegen/kernels-json.ts';
import { isModel, type Model, trace } from './dsl/model.ts';
import type { Graph } from './ir/graph.ts';
import { print } from './ir/print.ts';
import type { Trail } from './ir/trail.ts';
import { verify } from './ir/verify.ts';
import { hoistWeights } from './passes/hoistWeights.ts';
import { quantiseTables } from './passes/quantise-tables.ts';
import { runPasses } from './passes/run-passes.ts';
import { storeNarrow } from './passes/store-narrow.ts';
import { storeWeightsNarrow } from './passes/store-weights-narrow.ts';
import { tapsAsOutputs } from './passes/taps-as-outputs.ts';
import { makeDevicePlan, makePlan } from './plan/plan.ts';
import type { Plan } from './plan/plans.ts';
import { printPlan } from './plan/print.ts';
import { debug } from './support/debug.ts';
import { quantisedTypes, type TableType } from './support/dtype.ts';

export type { Built, KernelResources, Model, TableType };
export { trace };

export type Precision = 'f32' | 'bf16';

export interface CompileOptions extends Partial<Omit<BuildOptions, 'keep'>> {
  /** `simt`: the CUDA kernels, run thread by thread on the CPU with every access checked; slow. */
  readonly target?: 'cpu' | 'cuda' | 'simt';
  /**
   * How floats are stored; arithmetic is f32 or wider. Default f32. bf16: on devices weights, states and values of a step; on
   * the CPU weights that steps multiply with or gather from.
   */
  readonly precision?: Precision | undefined;
  /**
   * How weights are stored of which steps read nothing but rows: as bytes (fp8: e4m3) with an f32 scale per row. A checkpoint that
   * holds them so is mapped as it is; of another they are quantised when it loads. Default: as `precision` says.
   */
  readonly tables?: TableType | undefined;
  /** Give the taps that survive fusion as further outputs, to compare them with a reference. */
  readonly taps?: boolean;
  /** False: plan the graph as it is written, with nothing but the work on weights moved to load: what fusion is measured against. */
  readonly fuse?: boolean;
  /** cuda, simt: leave the kernels' sources, headers and kernels.json in `kernels/` of outDir, with PTX and a report for cuda. */
  readonly keep?: boolean;
}

/** Every stage of a compilation before anything is built. */
export interface Stages {
  readonly traced: Graph;
  readonly fused: Graph;
  readonly plan: Plan;
  readonly files: Files;
}

/** Loads the model that a file exports; `config` goes to it where it exports a function. Errors: see importModel. */
export const loadModel = (file: string, config?: unknown): Promise<Model> => importModel(file, config, isModel);

export type TranslateOptions = Pick<CompileOptions, 'taps' | 'target' | 'precision' | 'tables' | 'fuse'>;

/** What is planned of a traced graph. */
export function fusedGraph(traced: Graph, options: TranslateOptions): Graph {
  const { graph } = runPasses(traced, options.fuse === false ? unfused : {});
  return storedGraph(options.taps ? tapsAsOutputs(graph) : graph, options);
}

/** A graph after all passes with its floats stored as the options say; `trail` follows. */
export function storedGraph(
  graph: Graph,
  { precision, tables, target = 'cpu' }: Pick<TranslateOptions, 'precision' | 'tables' | 'target'>,
  trail?: Trail,
): Graph {
  const narrow = target === 'cpu' ? storeWeightsNarrow : storeNarrow;
  if (precision === 'bf16') {
    trail?.enter(narrow.name);
    graph = verify(narrow(graph, trail));
  }
  if (tables === undefined) return graph;
  trail?.enter(quantiseTables.name);
  return verify(quantiseTables(graph, quantisedTypes[tables], trail));
}

/**
 * Model → text, without touching disk or starting programs. The same model gives the same bytes.
 * @throws UltramemError unsupported-shape; what tracing and passes throw
 */
export function translate(model: Model, options: TranslateOptions = {}): Stages {
  const timed = timer();
  const { target = 'cpu' } = options;
  const onDevice = target !== 'cpu';
  const traced = timed('trace', () => trace(model)); //                       dsl  → ir: nodes with types and call sites
  const fused = timed('passes', () => fusedGraph(traced, options)); //        ir   → ir: fold, fuse, hoist what is known at load
  const plan = timed('plan', () => (onDevice ? makeDevicePlan(fused) : makePlan(fused))); //                       ir   → plan: kernels, views, buffers, variants
  debug(2, () => printPlan(plan));
  const source = model.loc === undefined ? 'a model' : basename(model.loc.file);
  const texts = { source, graphBefore: print(traced), graphAfter: print(fused) };
  const files = timed('emit', () => emit(plan, texts, target === 'cuda' ? 'cuda' : 'simt')); //                    plan → text
  debug(4, () => [...files].map(([path, text]) => `── ${path}\n${text}`).join('\n'));
  return { traced, fused, plan, files };
}

/**
 * Compiles a model: its text and addon end up in `outDir` (default `generated/<name>`), the addon from the cache where it
 * has been built before.
 *
 * @throws DiagnosticsError for faults in the model, UltramemError for shapes without a kernel and for the machine's faults
 */
export async function compile(model: Model, options: CompileOptions = {}): Promise<Built> {
  options.onProgress?.({ stage: 'translating' });
  const stages = translate(model, options);
  await dumpStages(stages.files);
  const outDir = resolve(options.outDir ?? `generated/${model.name}`);
  const { plan } = stages;
  const keep = options.keep && plan.target === 'cuda' ? jsonText(describeKernels(plan)) : undefined;
  return buildAddon(model.name, stages.files, { ...options, outDir, keep });
}

/** The one pass without which no graph can be planned. */
const unfused = { passes: [hoistWeights] } as const;

/** Runs stages and tells under DEBUG=1 how long each took. */
function timer(): <R>(stage: string, run: () => R) => R {
  return (stage, run) => {
    const started = performance.now();
    const result = run();
    debug(1, () => `${stage}: ${(performance.now() - started).toFixed(1)} ms`);
    return result;
  };
}
