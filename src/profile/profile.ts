// Kernel by kernel, what a step had to move and compute beside what its kernels did, counted by the simt target.

import { type Model, type Precision, type TableType, translate } from '../compile.ts';
import { describeModel, loadCompiled } from '../open-model.ts';
import type { DeviceLaunch } from '../plan/device/launch.ts';
import { leastTraffic, trafficOf } from '../plan/device/traffic.ts';
import type { DevicePlan } from '../plan/plans.ts';
import type { Run, StepShape, Traffic } from '../plan/traffic.ts';
import type { Variant } from '../plan/types.ts';
import type { LaunchCounters, NativeModel } from '../runtime/index.ts';
import { projectedDevices, projectedSeconds, projectionNote } from './devices.ts';
import { describeStep, randomStep, randomWeights, requireSteps, type StepsOptions, symbolsFor } from './random-step.ts';

export interface ProfileOptions extends StepsOptions {
  /** False: count the graph as it is written; see CompileOptions. */
  readonly fuse?: boolean | undefined;
}

/** Bytes to and from global memory. */
export interface Bytes {
  readonly read: number;
  readonly written: number;
}

/** One or several launches. */
export interface Figures {
  /** Every input of a launch once and every output once; see plan/traffic.ts. */
  readonly must: Bytes;
  /** Sectors of 32 bytes of every request. */
  readonly moved: Bytes;
  /** Sectors of 32 bytes that a launch meets at all, each once: what would move if a cache held the launch's data. */
  readonly touched: Bytes;
  /** What the threads asked for. */
  readonly asked: Bytes;
  readonly flops: number;
  readonly counters: LaunchCounters;
  /** Microseconds that a device would take, by its name: see projectionNote. */
  readonly projected: Readonly<Record<string, number>>;
}

export interface ProfiledLaunch extends Figures {
  readonly kernel: string;
  readonly computes: string;
  /** Line of the model: `model.ts:12:3`. */
  readonly place: string | null;
  readonly grid: DeviceLaunch['grid'];
  readonly block: DeviceLaunch['block'];
}

/** Launches of one kernel from one line of the model. */
export interface ProfiledKernel extends Figures {
  readonly kernel: string;
  readonly place: string | null;
  readonly launches: number;
}

export interface ProfiledStep {
  readonly tokens: number;
  /** What the step's tokens are, for readers. */
  readonly holds: string;
  readonly variant: string;
  readonly launches: readonly ProfiledLaunch[];
  /** The launches by kernel and line, in the order of the first of each. */
  readonly kernels: readonly ProfiledKernel[];
  readonly totals: Figures;
  /** Bytes of the step if it were one launch: nothing between launches, no row of a table twice. */
  readonly least: Bytes;
}

export interface Profile {
  readonly model: string;
  readonly target: 'simt';
  readonly precision: Precision;
  readonly tables: TableType | undefined;
  readonly fused: boolean;
  readonly weights: 'random' | 'given';
  readonly steps: readonly ProfiledStep[];
  /** That times are projected, and how. */
  readonly note: string;
}

const SEED = 1;

/**
 * Compiles a model for simt, runs one step per number of tokens and counts it. Every access of the kernels is checked as well.
 * @throws UltramemError too-many-tokens, option-invalid, kernel-finding, aborted, and what compiling and loading throw
 */
export async function profile(model: Model, options: ProfileOptions): Promise<Profile> {
  const { tokens, weights, past, precision = 'f32', tables, fuse = true, signal, onProgress } = options;
  const plan = translate(model, { target: 'simt', precision, tables, fuse }).plan as DevicePlan;
  requireSteps(plan, tokens);
  const random = weights === undefined ? randomWeights(describeModel(model), SEED) : weights;
  const loaded = await loadCompiled(model, random, {
    target: 'simt',
    precision,
    tables,
    fuse,
    signal,
    ...(onProgress && { onProgress }),
  });
  try {
    const steps: ProfiledStep[] = [];
    for (const [i, T] of tokens.entries()) {
      onProgress?.({ stage: `counting a step of ${T}`, done: i, total: tokens.length });
      steps.push(await countStep(plan, loaded, T, past, signal));
    }
    return {
      model: plan.name,
      target: 'simt',
      precision,
      tables,
      fused: fuse,
      weights: weights === undefined ? 'random' : 'given',
      steps,
      note: projectionNote,
    };
  } finally {
    loaded.dispose();
  }
}

async function countStep(
  plan: DevicePlan,
  loaded: NativeModel,
  T: number,
  past: number | undefined,
  signal: AbortSignal | undefined,
): Promise<ProfiledStep> {
  const { model } = loaded;
  const { session, step: symbols } = symbolsFor(model, T);
  const { inputs, runs } = randomStep(model, symbols, T, past, SEED);
  const engine = loaded.openEngine(session, undefined, { counters: true });
  try {
    await engine.step({ inputs, symbols, signal });
    const variant = plan.variants.find(({ maxTokens }) => maxTokens >= T)!;
    return stepFigures(variant, engine.counters(), { tokens: T, runs });
  } finally {
    engine.dispose();
  }
}

function stepFigures(
  variant: Variant<DeviceLaunch>,
  counted: readonly LaunchCounters[],
  step: StepShape & { readonly runs: readonly Run[] },
): ProfiledStep {
  const launches = variant.launches.map((launch, i): ProfiledLaunch => {
    const counters = counted[i]!;
    const { kernel, computes, loc, grid, block } = launch;
    const place = loc === undefined ? null : `${loc.file.split('/').at(-1)}:${loc.line}:${loc.column}`;
    return { kernel, computes, place, grid, block, ...figures(trafficOf(launch, step), counters) };
  });
  const arena = new Set(variant.buffers.filter(({ space }) => space === 'arena').map(({ name }) => name));
  const least = leastTraffic(variant.launches, (buffer) => arena.has(buffer), step);
  return {
    tokens: step.tokens,
    holds: describeStep(step),
    variant: variant.name,
    launches,
    kernels: byKernel(launches),
    totals: totalOf(launches),
    least: { read: least.bytesRead, written: least.bytesWritten },
  };
}

const SECTOR = 32;

function figures({ bytesRead, bytesWritten, flops }: Traffic, counters: LaunchCounters): Figures {
  const must = { read: bytesRead, written: bytesWritten };
  const moved = { read: SECTOR * counters.loadSectors, written: SECTOR * counters.storeSectors };
  const touched = { read: SECTOR * counters.distinctLoadSectors, written: SECTOR * counters.distinctStoreSectors };
  const facts = { bytes: bytesOf(touched), flops, tensor: counters.mma > 0 };
  return {
    must,
    moved,
    touched,
    asked: { read: counters.bytesLoaded, written: counters.bytesStored },
    flops,
    counters,
    projected: Object.fromEntries(
      projectedDevices.map((device) => [device.name, 1e6 * projectedSeconds(device, facts)]),
    ),
  };
}

/** Read and written. */
export const bytesOf = ({ read, written }: Bytes): number => read + written;

function byKernel(launches: readonly ProfiledLaunch[]): ProfiledKernel[] {
  const groups = new Map<string, ProfiledLaunch[]>();
  for (const launch of launches) {
    const key = `${launch.kernel} ${launch.place}`;
    groups.set(key, [...(groups.get(key) ?? []), launch]);
  }
  return [...groups.values()].map((group) => {
    const { kernel, place } = group[0]!;
    return { kernel, place, launches: group.length, ...totalOf(group) };
  });
}

/** Launches one after another as one. */
export function totalOf(all: readonly Figures[]): Figures {
  const bytes = (of: (figures: Figures) => Bytes): Bytes => ({
    read: all.reduce((n, figures) => n + of(figures).read, 0),
    written: all.reduce((n, figures) => n + of(figures).written, 0),
  });
  const counters = all.map((figures) => figures.counters);
  const names = Object.keys(counters[0] ?? {}) as (keyof LaunchCounters)[];
  return {
    must: bytes(({ must }) => must),
    moved: bytes(({ moved }) => moved),
    touched: bytes(({ touched }) => touched),
    asked: bytes(({ asked }) => asked),
    flops: all.reduce((n, { flops }) => n + flops, 0),
    counters: Object.fromEntries(
      names.map((name) => [name, counters.reduce((n, launch) => n + launch[name], 0)]),
    ) as unknown as LaunchCounters,
    projected: Object.fromEntries(
      projectedDevices.map(({ name }) => [name, all.reduce((n, { projected }) => n + projected[name]!, 0)]),
    ),
  };
}
