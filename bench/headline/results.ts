// What the headline comparison measures.

import type { Bytes } from './bytes.ts';
import type { Distinct } from './decode.ts';
import type { Skipped } from './passes.ts';
import type { Kind, Shapes } from './shapes.ts';
/** Steps of one decoder, by the positions that each sequence holds and the sequences. */
export interface HeadlineRate {
  readonly kind: Kind;
  /** Positions that a token attends to, its own included. */
  readonly length: number;
  readonly batch: number;
  /** Whether all decoders took turns; else they ran one after another. */
  readonly together: boolean;
  /** Milliseconds of a step: the median over rounds of a round's median, and those of the rounds. */
  readonly milliseconds: number;
  readonly rounds: readonly number[];
  /** Bytes per second of 1 GiB read in order with as many threads: the median over the same rounds. */
  readonly bandwidth: number;
  /** Of the timed steps, on average: different experts of a block, different rows of a memory, by output. */
  readonly distinct: Distinct;
  readonly bytes: Bytes;
}

export interface HeadlineResults {
  readonly shapes: Shapes;
  readonly threads: number;
  readonly rates: readonly HeadlineRate[];
  readonly skipped: readonly (Skipped & { readonly length: number })[];
}
