// How many tokens per second a session gives to texts that it continues at once, beside the same texts one after another.

import { availableParallelism } from 'node:os';
import type { Model } from '../compile.ts';
import { describeModel, loadCompiled } from '../open-model.ts';
import { boundOf, isLanguageModel, Session, sessionSymbols } from '../runtime/index.ts';
import { notALanguageModel, optionInvalid } from '../support/errors/session.ts';
import { type BenchMachine, type BenchOptions, benchMachine } from './bench.ts';
import { randomWeights, uniform } from './random-step.ts';
import { median } from './rounds.ts';

export interface TextsOptions extends Omit<BenchOptions, 'tokens' | 'past' | 'seconds'> {
  /** Numbers of texts to continue at once. */
  readonly texts: readonly number[];
  /** Tokens of each prompt, random ones; default 64, or a quarter of the context where that is less. */
  readonly prompt?: number | undefined;
  /** Tokens that each text is continued by, the most probable ones; default as many. */
  readonly continued?: number | undefined;
}

/** So many texts, all calls made at once, or each when the one before has ended. */
export interface BenchedTexts {
  readonly texts: number;
  readonly threads: number;
  readonly calls: 'at once' | 'one by one';
  /** Chosen tokens of all texts per second, prompts included in the time: the median over rounds, and the rounds. */
  readonly tokensPerSecond: number;
  readonly rounds: readonly number[];
  /** Milliseconds from a call to its first token: the median over texts and rounds, and the longest. */
  readonly first: number;
  readonly latest: number;
}

export interface TextsBench {
  readonly model: string;
  readonly target: 'cpu' | 'cuda' | 'simt';
  readonly precision: 'f32' | 'bf16';
  readonly tables: BenchOptions['tables'];
  readonly weights: 'random' | 'given';
  readonly machine: BenchMachine;
  readonly rounds: number;
  readonly prompt: number;
  readonly continued: number;
  readonly texts: readonly BenchedTexts[];
}

const SEED = 1;

/**
 * Compiles a language model and times calls of generate on one session; numbers of texts and threads take turns.
 * @throws UltramemError not-a-language-model, option-invalid, aborted, and what compiling and loading throw
 */
export async function benchTexts(model: Model, options: TextsOptions): Promise<TextsBench> {
  const { texts, target = 'cpu', precision = 'f32', tables, march, rounds = 9, signal, onProgress } = options;
  const threads = [...new Set(options.threads ?? [1, availableParallelism()])];
  const described = describeModel(model);
  if (!isLanguageModel(described)) throw notALanguageModel(described.name);
  const context = boundOf(described, 'positions');
  const vocab = boundOf(described, 'ids');
  const { prompt = Math.min(64, Math.ceil(context / 4)) } = options;
  const { continued = prompt } = options;
  if (!(prompt >= 1 && continued >= 1 && prompt + continued <= context)) {
    throw optionInvalid('prompt + continued', prompt + continued, `from 2 to the context, ${context}`);
  }
  const weights = options.weights ?? randomWeights(described, SEED);
  const loaded = await loadCompiled(model, weights, {
    ...{ target, precision, tables, march, signal },
    ...(onProgress && { onProgress }),
  });
  const sessions: Session[] = [];
  try {
    const symbols = sessionSymbols(loaded.model, { maxSequences: Math.max(...texts) });
    for (const count of threads) sessions.push(new Session(loaded.openEngine(symbols, count)));
    const kinds = sessions.flatMap((session, at) =>
      texts.flatMap((count) =>
        (['at once', 'one by one'] as const)
          .filter((calls) => calls === 'at once' || count > 1)
          .map((calls) => ({ session, threads: threads[at]!, texts: count, calls, ...noTimes() })),
      ),
    );
    for (const session of sessions) await run(session, [promptOf(prompt, vocab, 0)], continued, true, signal);
    for (let round = 0; round < rounds; round++) {
      for (const [at, { session, texts: count, calls, rates, firsts }] of kinds.entries()) {
        onProgress?.({ stage: 'timing', done: round * kinds.length + at, total: rounds * kinds.length });
        const prompts = Array.from({ length: count }, (_, text) => promptOf(prompt, vocab, round * 1000 + text));
        const ran = await run(session, prompts, continued, calls === 'at once', signal);
        rates.push(ran.rate);
        firsts.push(...ran.firsts);
      }
    }
    return {
      ...{ model: loaded.model.name, target, precision, tables, machine: benchMachine(), rounds, prompt, continued },
      weights: options.weights === undefined ? 'random' : 'given',
      texts: kinds.map(({ rates, firsts, session: _, ...kind }) => ({
        ...kind,
        ...{ tokensPerSecond: median(rates), rounds: rates, first: median(firsts), latest: Math.max(...firsts) },
      })),
    };
  } finally {
    for (const session of sessions) session.dispose();
    loaded.dispose();
  }
}

const noTimes = () => ({ rates: [] as number[], firsts: [] as number[] });

/** Ids that differ from prompt to prompt, so that each text chooses rows of its own. */
function promptOf(length: number, vocab: number, seed: number): Int32Array {
  const next = uniform(seed);
  return Int32Array.from({ length }, () => Math.floor(vocab * next()));
}

/** Tokens per second of all, and when each text had its first, in milliseconds from its call. */
async function run(
  session: Session,
  prompts: readonly Int32Array[],
  continued: number,
  together: boolean,
  signal: AbortSignal | undefined,
): Promise<{ readonly rate: number; readonly firsts: readonly number[] }> {
  const firsts: number[] = [];
  const call = async (prompt: Int32Array): Promise<void> => {
    const called = performance.now();
    let count = 0;
    for await (const _ of session.generate(prompt, { maxTokens: continued, signal })) {
      if (count++ === 0) firsts.push(performance.now() - called);
    }
  };
  const start = performance.now();
  if (together) await Promise.all(prompts.map(call));
  else for (const prompt of prompts) await call(prompt);
  return { rate: (1000 * prompts.length * continued) / (performance.now() - start), firsts };
}
