// Tokens in the order of their logits, most probable first, without sorting them.

import { invariant } from '../support/errors.ts';

const digit = { bits: 11, below: 2 ** 11 } as const;
/** Where the three digits of a rank begin, the highest first; the last two overlap by a bit. */
const shifts = [21, 10, 0] as const;

/** Integers in the order of the logits: equal for +0 and −0, zero for every NaN. Of equal ones the lower id comes first. */
export function ranksOf(logits: Float32Array): Uint32Array {
  const values = new Float32Array(logits.length);
  for (let id = 0; id < values.length; id++) values[id] = logits[id]! + 0;
  const ranks = new Uint32Array(values.buffer);
  for (let id = 0; id < ranks.length; id++) {
    const value = values[id]!;
    const bits = ranks[id]!;
    ranks[id] = Number.isNaN(value) ? 0 : bits >>> 31 ? ~bits : bits | 0x80000000;
  }
  return ranks;
}

/** Where a walk down the ranks ends. */
export interface Reached {
  readonly id: number;
  /** Measures of all tokens from the first to this one. */
  readonly sum: number;
}

/** The first token, from the top, at which the measures of all tokens so far reach `target`, which their total does. */
export function reach(ranks: Uint32Array, measures: Float64Array, target: number): Reached {
  let rank = 0;
  let known = 0; // bits of the rank
  let sum = 0; // of all greater ranks
  for (const shift of shifts) {
    const bins = new Float64Array(digit.below);
    for (let id = 0; id < ranks.length; id++) {
      if (((ranks[id]! ^ rank) & known) === 0) bins[(ranks[id]! >>> shift) & (digit.below - 1)]! += measures[id]!;
    }
    let at = digit.below - 1;
    for (; at > 0 && sum + bins[at]! < target; at--) sum += bins[at]!;
    rank = (rank | (at << shift)) >>> 0;
    known |= (digit.below - 1) << shift;
  }
  for (let id = 0; id < ranks.length; id++) {
    if (ranks[id] === rank && (sum += measures[id]!) >= target) return { id, sum };
  }
  invariant(false, `all tokens together do not reach ${target}`);
}
