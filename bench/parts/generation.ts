// Tokens per second of 1, 4 and 16 calls of generate at the same time on one session, beside the same calls one after another; and how
// long a call waits for its first token.

import { basename } from 'node:path';
import { pathToFileURL } from 'node:url';
import { compile } from 'ultramem/compile';
import { median } from 'ultramem/profile';
import { loadNative, requireAddon, Session, sessionSymbols } from 'ultramem/runtime';
import { bytesLm, decoder151m, idsBelow, type Precision, type Subject } from '../decoders.ts';
import { rounded, table } from '../figures.ts';
import { fromRoot } from '../paths.ts';
import type { Measured, Settings } from '../settings.ts';

/** So many texts, all calls made at once or each when the one before has ended. */
export interface Throughput {
  readonly model: string;
  readonly precision: Precision;
  readonly threads: number;
  readonly texts: number;
  readonly together: boolean;
  /** Tokens per second of all texts, prompts included in the time: the median over rounds, and the rounds. */
  readonly median: number;
  readonly rounds: readonly number[];
  /** Milliseconds from the first call to the first token of a text: the median over texts and rounds, and the longest. */
  readonly first: number;
  readonly latest: number;
}

export interface GenerationResults {
  readonly throughput: readonly Throughput[];
}

const TEXTS = [1, 4, 16] as const;
const PROMPT = 64;
const TOKENS = 64;
/** A round of the large decoder takes half a minute and more. */
const LARGE = { rounds: 3, tokens: 16 } as const;

/** @throws what compiling and loading throw */
export async function measureGeneration(settings: Settings): Promise<Measured<GenerationResults>> {
  const throughput = [
    ...(await measureSubject(await bytesLm(), 'f32', TOKENS, settings)),
    ...(await measureSubject(await decoder151m(settings.progress), 'bf16', LARGE.tokens, {
      ...settings,
      rounds: Math.min(settings.rounds, LARGE.rounds),
    })),
  ];
  return { markdown: text(throughput), results: { throughput } };
}

async function measureSubject(
  { model, weights }: Subject,
  precision: Precision,
  tokens: number,
  settings: Settings,
): Promise<readonly Throughput[]> {
  settings.progress(`${model.name}, ${precision}: compiling and loading`);
  const { addon } = await compile(model, { outDir: fromRoot(`out/bench/${model.name}-${precision}`), precision });
  const native = await loadNative(requireAddon(pathToFileURL(addon).href, basename(addon)), weights);
  const measured: Throughput[] = [];
  try {
    for (const threads of settings.threads) {
      settings.progress(`${model.name}, ${precision}, threads ${threads}`);
      const symbols = sessionSymbols(native.model, { maxSequences: Math.max(...TEXTS) });
      await using session = new Session(native.openEngine(symbols, threads));
      const ids = idsBelow(Number(session.model.inputs.find(({ name }) => name === 'ids')!.below));
      const kinds = TEXTS.flatMap((texts) => [true, false].map((together) => ({ texts, together })))
        .filter(({ texts, together }) => together || texts > 1)
        .map((kind) => ({ ...kind, rounds: [] as number[], firsts: [] as number[] }));
      await run(session, ids, tokens, kinds[0]!);
      for (let round = 0; round < settings.rounds; round++) {
        for (const kind of kinds) {
          const { rate, firsts } = await run(session, ids, tokens, kind);
          kind.rounds.push(rate);
          kind.firsts.push(...firsts);
        }
      }
      for (const { texts, together, rounds, firsts } of kinds) {
        const waits = { first: median(firsts), latest: Math.max(...firsts) };
        measured.push({
          model: model.name,
          precision,
          threads,
          texts,
          together,
          median: median(rounds),
          rounds,
          ...waits,
        });
      }
    }
  } finally {
    native.dispose();
  }
  return measured;
}

/** Continues so many random prompts by the most probable tokens; tokens per second, and when each text had its first. */
async function run(
  session: Session,
  ids: (count: number) => Int32Array,
  tokens: number,
  { texts, together }: { readonly texts: number; readonly together: boolean },
): Promise<{ rate: number; firsts: readonly number[] }> {
  const firsts: number[] = [];
  const start = performance.now();
  const call = async (prompt: Int32Array): Promise<void> => {
    const called = performance.now();
    let count = 0;
    for await (const _ of session.generate(prompt, { maxTokens: tokens })) {
      if (count++ === 0) firsts.push(performance.now() - called);
    }
  };
  const prompts = Array.from({ length: texts }, () => ids(PROMPT));
  if (together) await Promise.all(prompts.map(call));
  else for (const prompt of prompts) await call(prompt);
  return { rate: (1000 * texts * tokens) / (performance.now() - start), firsts };
}

function text(throughput: readonly Throughput[]): string {
  const head = [
    'model',
    'precision',
    'threads',
    'texts',
    'calls',
    'tokens per second',
    'by one by one',
    'first token ms',
    'latest ms',
  ];
  const rows = throughput.map((one) => {
    const { model, precision, threads, texts, together } = one;
    const apart = throughput.find(
      (other) =>
        other.model === model && other.threads === threads && other.texts === texts && other.together === (texts === 1),
    )!;
    return [
      ...[model, precision, `${threads}`, `${texts}`, together ? 'at once' : 'one by one'],
      ...[one.median, one.median / apart.median, one.first, one.latest].map(rounded),
    ];
  });
  return table(head, rows, ['model', 'precision', 'calls']);
}
