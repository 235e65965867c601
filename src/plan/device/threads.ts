// Shapes of launches whose threads or warps each own one piece of the result.

import type { Extent3 } from './launch.ts';

const THREADS = 128;
const WARP = 32;

/** Warps of a block where each takes a row. */
export const WARPS = THREADS / WARP;

/** A thread for each of `elements`. */
export const threadPer = (elements: number): { readonly grid: Extent3; readonly block: Extent3 } => ({
  grid: [Math.max(1, Math.ceil(elements / THREADS)), 1, 1],
  block: [THREADS, 1, 1],
});

/** A warp for each of `rows`. */
export const warpPer = (rows: number): { readonly grid: Extent3; readonly block: Extent3 } => ({
  grid: [Math.max(1, Math.ceil(rows / WARPS)), 1, 1],
  block: [THREADS, 1, 1],
});

/** The largest divisor of `n` that is at most `most`: how many pieces of a group one thread or block takes. */
export function largestDivisor(n: number, most: number): number {
  let divisor = Math.min(n, most);
  while (n % divisor !== 0) divisor--;
  return divisor;
}
