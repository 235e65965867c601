// Measures several contenders in turn, round after round, so that whatever else the machine does falls on all of them.

import type { OnProgress } from '../support/progress.ts';

export interface Contender {
  readonly name: string;
  /** One call; `i` counts up, to choose among inputs. */
  call(i: number): Promise<unknown>;
}

export interface Timing {
  readonly name: string;
  readonly calls: number;
  /** Milliseconds per call: the least, the median over rounds of a round's median, and how far rounds' medians lie apart (highest − lowest). */
  readonly min: number;
  readonly median: number;
  readonly spread: number;
  /** Median of each round. */
  readonly rounds: readonly number[];
}

/** The median over rounds of one's time by another's, and its range. */
export interface Ratio {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

export interface RoundsOptions {
  readonly rounds: number;
  /** Of calls that count, per contender and round. */
  readonly seconds: number;
  readonly onProgress?: OnProgress | undefined;
}

/** Each round gives every contender a pause, calls not counted, then `seconds` of calls, at least three. */
export async function inRounds(
  contenders: readonly Contender[],
  { rounds, seconds, onProgress }: RoundsOptions,
): Promise<readonly Timing[]> {
  const times = contenders.map(() => [] as number[]);
  const medians = contenders.map(() => [] as number[]);
  for (let round = 0; round < rounds; round++) {
    for (const [c, contender] of contenders.entries()) {
      onProgress?.({ stage: 'timing', done: round * contenders.length + c, total: rounds * contenders.length });
      await new Promise((resolve) => setTimeout(resolve, 20)); // the last one's idle threads stop spinning
      await callFor(contender, seconds / 4);
      const own = await callFor(contender, seconds);
      times[c]!.push(...own);
      medians[c]!.push(median(own));
    }
  }
  return contenders.map(({ name }, c) => ({
    name,
    calls: times[c]!.length,
    min: least(times[c]!),
    median: median(medians[c]!),
    spread: Math.max(...medians[c]!) - least(medians[c]!),
    rounds: medians[c]!,
  }));
}

/** How many times as long the first takes, round by round. */
export function ratioOf(of: Timing, to: Timing): Ratio {
  const ratios = of.rounds.map((time, round) => time / to.rounds[round]!);
  return { median: median(ratios), low: least(ratios), high: Math.max(...ratios) };
}

/** Calls for so many seconds, and three times at least; milliseconds of each call. */
export async function callFor({ call }: Contender, seconds: number): Promise<readonly number[]> {
  const times: number[] = [];
  const end = performance.now() + seconds * 1000;
  for (let i = 0; i < 3 || performance.now() < end; i++) {
    const start = performance.now();
    await call(i);
    times.push(performance.now() - start);
  }
  return times;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)]!;
}

const least = (values: readonly number[]): number => values.reduce((a, b) => Math.min(a, b));
