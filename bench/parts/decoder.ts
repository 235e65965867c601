// Tokens per second of two decoders with memory layers: examples/bytes-lm with its checkpoint, and a 151M-shaped one with random
// weights, beside the bytes that a token must read and the read bandwidth, measured in turn with them.

import { basename } from 'node:path';
import { pathToFileURL } from 'node:url';
import { compile } from 'ultramem/compile';
import { median } from 'ultramem/profile';
import { loadNative, requireAddon, Session, sessionSymbols } from 'ultramem/runtime';
import { bytesLm, decoder151m, idsBelow, type Model, type Precision, type Subject } from '../decoders.ts';
import { percent, rounded, table } from '../figures.ts';
import { fromRoot } from '../paths.ts';
import { openReadBandwidth } from '../read-bandwidth.ts';
import type { Measured, Settings } from '../settings.ts';
import { type StepBytes, stepBytesOf } from '../step-bytes.ts';

type Kind = 'prompt' | 'one sequence' | 'many sequences' | 'generate()';

/** One kind of steps of one model, by its precision and threads. */
export interface Rate {
  readonly model: string;
  readonly precision: Precision;
  readonly threads: number;
  readonly kind: Kind;
  /** Tokens of a prompt; sequences. */
  readonly tokens: number;
  /** Tokens per second: the median over rounds, and the rounds. */
  readonly median: number;
  readonly rounds: readonly number[];
  /** Of steps of one token: what it reads, and how that compares with what memory gives. */
  readonly reading?: Reading;
}

export interface Reading {
  /** Position of the token, in the middle of those that were timed. */
  readonly position: number;
  readonly perToken: StepBytes;
  /** Bytes per second. */
  readonly rate: number;
  /** Bytes per second of 1 GiB read in order with as many threads: the median over the same rounds. */
  readonly bandwidth: number;
  /** The median over rounds of a round's rate by its bandwidth. Weights that a cache holds take it above 1. */
  readonly share: number;
}

export interface DecoderResults {
  readonly rates: readonly Rate[];
}

const SEQUENCES = 16;
/** Positions that decoding goes over, again and again. */
const POSITIONS = 32;

/** @throws what compiling and loading throw */
export async function measureDecoders(settings: Settings): Promise<Measured<DecoderResults>> {
  const rates = [
    ...(await measureSubject(await bytesLm(), settings)),
    ...(await measureSubject(await decoder151m(settings.progress), settings)),
  ];
  return { markdown: text(rates), results: { rates } };
}

async function measureSubject(subject: Subject, settings: Settings): Promise<readonly Rate[]> {
  const { model, weights, precisions } = subject;
  const rates: Rate[] = [];
  for (const precision of precisions) {
    settings.progress(`${model.name}, ${precision}: compiling and loading`);
    const { addon } = await compile(model, { outDir: fromRoot(`out/bench/${model.name}-${precision}`), precision });
    const native = await loadNative(requireAddon(pathToFileURL(addon).href, basename(addon)), weights, {
      tokenizer: model.meta.tokenizer,
    });
    try {
      for (const threads of settings.threads) {
        settings.progress(`${model.name}, ${precision}, threads ${threads}`);
        const symbols = sessionSymbols(native.model, { maxSequences: SEQUENCES });
        await using session = new Session(native.openEngine(symbols, threads));
        rates.push(...(await measureSession(session, subject, precision, threads, settings)));
      }
    } finally {
      native.dispose();
    }
  }
  return rates;
}

async function measureSession(
  session: Session,
  { model, prompt }: Subject,
  precision: Precision,
  threads: number,
  { rounds, seconds }: Settings,
): Promise<readonly Rate[]> {
  const ids = idsBelow(Number(session.model.inputs.find(({ name }) => name === 'ids')!.below));
  for (let s = 0; s < SEQUENCES; s++) await session.forward(tokensOf(ids(prompt), 0, s));
  const kinds: { readonly kind: Kind; readonly tokens: number; readonly rate: () => Promise<number> }[] = [
    {
      kind: 'prompt',
      tokens: prompt,
      rate: () => rateOf(seconds, prompt, () => session.forward(tokensOf(ids(prompt), 0, 0))),
    },
    { kind: 'one sequence', tokens: 1, rate: () => decode(session, 1, ids, prompt, seconds) },
    { kind: 'many sequences', tokens: SEQUENCES, rate: () => decode(session, SEQUENCES, ids, prompt, seconds) },
  ];
  const own = new Map<Kind, number[]>(kinds.map(({ kind }) => [kind, []]));
  const bandwidths: number[] = [];
  const memory = await openReadBandwidth(threads);
  try {
    for (let round = 0; round < rounds; round++) {
      for (const { kind, rate } of kinds) own.get(kind)!.push(await rate());
      bandwidths.push(await memory.measure());
    }
  } finally {
    memory.dispose();
  }
  const said = { model: model.name, precision, threads };
  const rates = kinds.map(({ kind, tokens }): Rate => {
    const rounds = own.get(kind)!;
    const rate = { ...said, kind, tokens, median: median(rounds), rounds };
    if (kind !== 'one sequence') return rate;
    return { ...rate, reading: readingOf(model, precision, prompt + POSITIONS / 2, rounds, bandwidths) };
  });
  if (model.meta.tokenizer === undefined) return rates;
  const streamed: number[] = [];
  for (let s = 0; s < SEQUENCES; s++) session.sequences!.free(s);
  for (let round = 0; round < rounds; round++) streamed.push(await generate(session, ids(64), 128));
  return [...rates, { ...said, kind: 'generate()', tokens: 1, median: median(streamed), rounds: streamed }];
}

function readingOf(
  model: Model,
  precision: Precision,
  position: number,
  rates: readonly number[],
  bandwidths: readonly number[],
): Reading {
  const perToken = stepBytesOf(model, precision, { tokens: 1, position });
  const bytes = perToken.weights + perToken.rows + perToken.states;
  return {
    position,
    perToken,
    rate: bytes * median(rates),
    bandwidth: median(bandwidths),
    share: median(rates.map((rate, round) => (bytes * rate) / bandwidths[round]!)),
  };
}

/** Inputs of tokens of one sequence, from `position` on. */
const tokensOf = (ids: Int32Array, position: number, sequence: number) => ({
  ids,
  positions: ids.map((_, i) => position + i),
  sequence: ids.map(() => sequence),
});

/** Steps of one token of each sequence, at positions that follow the prompt. */
function decode(
  session: Session,
  sequences: number,
  ids: (count: number) => Int32Array,
  past: number,
  seconds: number,
) {
  const sequence = Int32Array.from({ length: sequences }, (_, s) => s);
  return rateOf(seconds, sequences, (i) =>
    session.forward({
      ids: ids(sequences),
      positions: new Int32Array(sequences).fill(past + (i % POSITIONS)),
      sequence,
    }),
  );
}

/** Tokens per second of calls of so many tokens each: one not counted, then for so many seconds, two at least. */
async function rateOf(seconds: number, tokens: number, call: (i: number) => Promise<unknown>): Promise<number> {
  await call(0);
  const start = performance.now();
  let calls = 0;
  while (calls < 2 || performance.now() < start + 1000 * seconds) await call(++calls);
  return (1000 * tokens * calls) / (performance.now() - start);
}

/** What a program sees that streams a generation: sampling and text included; after the prompt. */
async function generate(session: Session, prompt: Int32Array, tokens: number): Promise<number> {
  let [start, count] = [0, 0];
  const options = { maxTokens: tokens, temperature: 0.8, topK: 40, seed: 1 };
  for await (const _ of session.generate(prompt, options)) if (count++ === 0) start = performance.now();
  return ((count - 1) * 1000) / (performance.now() - start);
}

function text(rates: readonly Rate[]): string {
  const said = ({ kind, tokens }: Rate): string =>
    kind === 'prompt' ? `a prompt of ${tokens}` : kind === 'many sequences' ? `${tokens} sequences` : kind;
  const head = ['model', 'precision', 'threads', 'tokens per second of', 'median', 'worst', 'best'];
  const rows = rates.map((rate) => [
    ...[rate.model, rate.precision, `${rate.threads}`, said(rate)],
    ...[rate.median, Math.min(...rate.rounds), Math.max(...rate.rounds)].map(rounded),
  ]);
  const megabytes = (bytes: number): string => rounded(bytes / 1e6);
  const reading = rates.flatMap(({ model, precision, threads, reading }) => {
    if (reading === undefined) return [];
    const { perToken, position, rate, bandwidth, share } = reading;
    const { weights, rows, states } = perToken;
    const bytes = [weights, rows, states, weights + rows + states].map(megabytes);
    return [
      [
        model,
        precision,
        `${threads}`,
        `${position}`,
        ...bytes,
        rounded(rate / 1e9),
        rounded(bandwidth / 1e9),
        percent(share),
      ],
    ];
  });
  const readingHead = [
    ...['model', 'precision', 'threads', 'position', 'weights MB', 'chosen rows MB', 'states MB', 'all MB'],
    ...['GB/s', 'read bandwidth GB/s', 'share'],
  ];
  return `${table(head, rows, ['model', 'precision', 'tokens per second of'])}

What a token of one sequence must read (weights as this precision stores them, the rows it chooses, its key and value cache), and
the share of the read bandwidth, measured in the same rounds, that this comes to. Weights that fit a cache take it above 100 %.

${table(readingHead, reading, ['model', 'precision'])}`;
}
