// The tables of the headline comparison.

import { percent, rounded, table } from '../figures.ts';
import type { HeadlineRate, HeadlineResults } from './results.ts';
import { type Kind, kinds, titles, tokenFlops, weightCount } from './shapes.ts';

/** All bytes that a step reads. */
export const allBytes = ({ bytes: { weights, rows, states } }: HeadlineRate): number => weights + rows + states;

/** Of the rates, the three of a batch. */
export function rateOf(
  rates: readonly HeadlineRate[],
  length: number,
  batch: number,
): Readonly<Record<Kind, HeadlineRate>> {
  const own = rates.filter((rate) => rate.length === length && rate.batch === batch);
  return Object.fromEntries(own.map((rate) => [rate.kind, rate])) as Record<Kind, HeadlineRate>;
}

/** Those that were measured, in ascending order. */
export const lengthsOf = (rates: readonly HeadlineRate[]): number[] => unique(rates.map(({ length }) => length));
export const batchesOf = (rates: readonly HeadlineRate[], length: number): number[] =>
  unique(rates.filter((rate) => rate.length === length).map(({ batch }) => batch));

const unique = (all: readonly number[]): number[] => [...new Set(all)].sort((a, b) => a - b);

export function headlineText(results: HeadlineResults): string {
  const { rates, threads, shapes } = results;
  const lengths = lengthsOf(rates);
  const models = kinds.map((kind) => [
    titles[kind],
    ...[weightCount(shapes, kind), tokenFlops(shapes, kind)].map((count) => (count / 1e9).toPrecision(3)),
  ]);
  return `Weights as bf16, caches as f32, ${threads} ${threads === 1 ? 'thread' : 'threads'}.

${table(['decoder', 'weights, B', 'GFLOP a token'], models, ['decoder'])}

${lengths.map((length) => lengthText(results, length)).join('\n\n')}`;
}

function lengthText({ rates, skipped }: HeadlineResults, length: number): string {
  const times: string[][] = [];
  const shares: string[][] = [];
  const bytes: string[][] = [];
  const chosen: string[][] = [];
  const gigabytes = (count: number): string => rounded(count / 1e9);
  for (const batch of batchesOf(rates, length)) {
    const { dense, moe, ultramem } = rateOf(rates, length, batch);
    const three = [dense, moe, ultramem];
    const ratio = (of: (rate: HeadlineRate) => number): string[] => [
      (of(moe) / of(ultramem)).toFixed(2),
      (of(ultramem) / of(dense)).toFixed(2),
    ];
    const own = three.map((rate) => rate.bandwidth);
    times.push([
      `${batch}`,
      ...three.map(({ milliseconds, rounds }) => `${rounded(milliseconds)} (${rounded(Math.min(...rounds))})`),
      ...ratio(({ milliseconds }) => milliseconds),
      ...ratio(allBytes),
    ]);
    shares.push([
      `${batch}`,
      ...three.map((rate) => percent((1000 * allBytes(rate)) / rate.milliseconds / rate.bandwidth)),
      dense.together ? rounded(own[0]! / 1e9) : own.map((rate) => rounded(rate / 1e9)).join(', '),
    ]);
    bytes.push([
      `${batch}`,
      ...three.map((rate) => gigabytes(rate.bytes.paper)),
      ...ratio((rate) => rate.bytes.paper),
      ...three.map((rate) => gigabytes(allBytes(rate) - rate.bytes.states)),
      gigabytes(dense.bytes.states),
      ...ratio(allBytes),
    ]);
    chosen.push([`${batch}`, ...choicesOf(moe), ...choicesOf(ultramem)]);
  }
  const both = ['MoE / UltraMem', 'UltraMem / dense'];
  const named = (what: string): string[] => kinds.map((kind) => `${titles[kind]}${what}`);
  const timeHead = [
    ...['batch', ...named(', ms'), ...both.map((name) => `${name}, time`), ...both.map((name) => `${name}, bytes`)],
  ];
  const shareHead = ['batch', ...named(''), 'read bandwidth, GB/s'];
  const byteHead = [
    ...['batch', ...named(', GB as the paper counts'), ...both],
    ...[...named(', GB of all weights'), 'caches, GB', ...both.map((name) => `${name}, all`)],
  ];
  const chosenHead = ['batch', 'experts of a block', 'least', 'most', 'rows of a memory', 'least', 'most'];
  const left = skipped
    .filter((one) => one.length === length)
    .map(({ batch, why }) => `- Batch ${batch} left out: ${why}.`);
  const notes = batchesOf(rates, length).filter((batch) => !rateOf(rates, length, batch).dense.together);
  if (notes.length > 0)
    left.push(`- Batch ${notes.join(', ')}: one decoder after another, for memory; bandwidths are those beside each.`);
  return `### Length ${length}

Milliseconds of a step, median of rounds (least), and ratios of medians and of everything that it reads:

${table(timeHead, times)}

Share of the read bandwidth that the bytes of a step come to:

${table(shareHead, shares)}

Bytes that a step reads:

${table(byteHead, bytes)}

Different experts and rows that the tokens of a step chose between them: the mean over blocks or memories, and the extremes.

${table(chosenHead, chosen)}${left.length > 0 ? `\n\n${left.join('\n')}` : ''}`;
}

function choicesOf({ distinct }: HeadlineRate): string[] {
  const counts = Object.values(distinct);
  return [counts.reduce((sum, count) => sum + count, 0) / counts.length, Math.min(...counts), Math.max(...counts)].map(
    rounded,
  );
}
