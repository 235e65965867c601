// Finding what repeats: layers of a deep model compile to the same kernels over and over, and one of them is enough to look at.

import type { Repeat } from './data.ts';

/** Fewer items than this are no block. */
const LEAST_PERIOD = 4;

/**
 * Blocks that follow on themselves in a list of items, told apart by their signatures; in order. The one that hides most comes first,
 * then what is left is searched likewise: either side of it, and its first block, in which smaller ones may repeat.
 */
export function repeatsOf(signatures: readonly string[]): Repeat[] {
  const numbers = new Map<string, number>();
  const items = signatures.map((text) => {
    if (!numbers.has(text)) numbers.set(text, numbers.size);
    return numbers.get(text)!;
  });
  const search = (from: number, to: number): Repeat[] => {
    const best = largest(items, from, to);
    if (best === undefined) return [];
    const { start, period, count } = best;
    return [...search(from, start), best, ...search(start, start + period), ...search(start + period * count, to)];
  };
  return search(0, items.length);
}

function largest(items: readonly number[], from: number, to: number): Repeat | undefined {
  let best: Repeat | undefined;
  let hidden = 0;
  for (let period = LEAST_PERIOD; 2 * period <= to - from; period++) {
    // Items from `start` on that equal those a period later.
    let alike = 0;
    for (let start = to - period - 1; start >= from; start--) {
      alike = items[start] === items[start + period] ? alike + 1 : 0;
      const count = Math.floor(alike / period) + 1;
      const hides = (count - 1) * period;
      if (hides > 0 && (hides > hidden || (hides === hidden && best?.period === period))) {
        best = { start, period, count };
        hidden = hides;
      }
    }
  }
  return best;
}

/** For each item of a list with repeats the one that stands for it: itself, or its like in the first block of its repeat. */
export function representatives(count: number, repeats: readonly Repeat[]): number[] {
  const stands = Array.from({ length: count }, (_, i) => i);
  for (const { start, period, count: times } of repeats) {
    for (let i = start + period; i < start + period * times; i++) stands[i] = start + ((i - start) % period);
  }
  return stands.map((i) => stands[i]!); // of a block in a block, too
}
