// How long steps of a model take here, by numbers of tokens and of threads, measured in turn.

import { availableParallelism, cpus } from 'node:os';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Model, Precision, TableType } from '../compile.ts';
import { describeModel, loadCompiled } from '../open-model.ts';
import type { Engine, NativeModel } from '../runtime/index.ts';
import { optionInvalid } from '../support/errors/session.ts';
import {
  describeStep,
  type RandomStep,
  randomStep,
  randomWeights,
  requireSteps,
  type StepsOptions,
  symbolsFor,
} from './random-step.ts';
import { type Contender, callFor, inRounds } from './rounds.ts';

export interface BenchOptions extends StepsOptions {
  /** Thread counts to time steps with; default: one, and one per core. */
  readonly threads?: readonly number[] | undefined;
  readonly target?: 'cpu' | 'cuda' | 'simt' | undefined;
  readonly march?: string | undefined;
  /** Default 9. */
  readonly rounds?: number | undefined;
  /** Seconds of calls per step and round; default 0.2, and three calls at least. */
  readonly seconds?: number | undefined;
}

/** Milliseconds of one step, from the call to its outputs. */
export interface BenchedStep {
  readonly tokens: number;
  readonly threads: number;
  /** What the step's tokens are, for readers. */
  readonly holds: string;
  /** Calls that were counted. */
  readonly calls: number;
  /** The median over rounds of a round's median, and how far those lie apart (highest − lowest). */
  readonly median: number;
  readonly spread: number;
  readonly min: number;
  /** By the median. */
  readonly tokensPerSecond: number;
  /** The longest that a timer of 1 ms was late while such steps ran, in milliseconds: how long the event loop was held. */
  readonly held: number;
}

/** What times belong to. */
export interface BenchMachine {
  readonly processor: string;
  readonly cores: number;
  readonly node: string;
}

export interface Bench {
  readonly model: string;
  readonly target: 'cpu' | 'cuda' | 'simt';
  readonly precision: Precision;
  readonly tables: TableType | undefined;
  readonly weights: 'random' | 'given';
  readonly machine: BenchMachine;
  readonly rounds: number;
  readonly steps: readonly BenchedStep[];
}

/** So many inputs go round that a step's table rows are not those of the last one. */
const INPUTS = 16;
const SEED = 1;

/**
 * Compiles a model and times its steps; sizes and thread counts take turns, so that whatever else the machine does falls on all.
 * @throws UltramemError too-many-tokens, option-invalid, aborted, and what compiling and loading throw
 */
export async function bench(model: Model, options: BenchOptions): Promise<Bench> {
  const {
    tokens,
    target = 'cpu',
    precision = 'f32',
    tables,
    march,
    past,
    rounds = 9,
    seconds = 0.2,
    signal,
    onProgress,
  } = options;
  const threads = [...new Set(options.threads ?? [1, availableParallelism()])];
  const described = describeModel(model);
  requireSteps(described, tokens);
  if (threads.length === 0) throw optionInvalid('threads', '[]', 'one number or more');
  const weights = options.weights ?? randomWeights(described, SEED);
  const loaded = await loadCompiled(model, weights, {
    target,
    precision,
    tables,
    march,
    signal,
    ...(onProgress && { onProgress }),
  });
  const opened: OpenStep[] = [];
  try {
    for (const count of threads) for (const T of tokens) opened.push(openStep(loaded, T, count, past));
    const contenders = opened.map(
      ({ engine, steps, symbols, T, threads }): Contender => ({
        name: `${T} × ${threads}`,
        call: (i) => engine.step({ inputs: steps[i % INPUTS]!.inputs, symbols, signal }),
      }),
    );
    const timings = await inRounds(contenders, {
      rounds,
      seconds,
      onProgress,
    });
    const held: number[] = [];
    for (const contender of contenders) held.push(await longestHeld(contender, seconds));
    return {
      model: loaded.model.name,
      target,
      precision,
      tables,
      weights: options.weights === undefined ? 'random' : 'given',
      machine: benchMachine(),
      rounds,
      steps: timings.map(({ calls, median, spread, min }, i): BenchedStep => {
        const { T, threads, steps } = opened[i]!;
        const holds = describeStep({ tokens: T, runs: steps[0]!.runs });
        return {
          tokens: T,
          threads,
          holds,
          calls,
          median,
          spread,
          min,
          tokensPerSecond: (1000 * T) / median,
          held: held[i]!,
        };
      }),
    };
  } finally {
    for (const { engine } of opened) engine.dispose();
    loaded.dispose();
  }
}

/** This one. */
export const benchMachine = (): BenchMachine => ({
  processor: cpus()[0]?.model.trim() ?? 'unknown',
  cores: availableParallelism(),
  node: process.versions.node,
});

/** Milliseconds beyond its time that a timer of 1 ms came at most, over `seconds` of calls, and three at least. */
async function longestHeld(contender: Contender, seconds: number): Promise<number> {
  const delays = monitorEventLoopDelay({ resolution: 1 });
  await contender.call(0);
  delays.enable();
  await callFor(contender, seconds);
  delays.disable();
  return Math.max(0, delays.max / 1e6 - 1);
}

/** A session that runs one kind of step. */
interface OpenStep {
  readonly engine: Engine;
  readonly T: number;
  readonly threads: number;
  readonly symbols: Readonly<Record<string, number>>;
  readonly steps: readonly RandomStep[];
}

function openStep(loaded: NativeModel, T: number, threads: number, past: number | undefined): OpenStep {
  const { model } = loaded;
  const { session, step: symbols } = symbolsFor(model, T);
  const steps = Array.from({ length: INPUTS }, (_, i) => randomStep(model, symbols, T, past, SEED + i));
  return { engine: loaded.openEngine(session, threads), T, threads, symbols, steps };
}
