// From logits to the next token.

import { randomInt } from 'node:crypto';
import { optionInvalid } from '../support/errors/session.ts';
import { uniform } from './philox.ts';

export interface SamplingOptions {
  /** 0 (the default): always the most probable token. Otherwise logits are divided by it. */
  readonly temperature?: number;
  /** Only the k most probable tokens; default all. */
  readonly topK?: number;
  /** Only the fewest most probable tokens that together reach this probability, in (0, 1]; default 1. */
  readonly topP?: number;
  /** Same seed, same logits: same tokens. A non-negative safe integer; default: another one each time. */
  readonly seed?: number;
}

/** Chooses a token from one row of logits; `index` counts the choices of a generation from 0. */
export type Sampler = (logits: Float32Array, index: number) => number;

/**
 * Makes a sampler. Equal logits rank by lowest id; NaN ranks last and is never drawn.
 * @throws UltramemError option-invalid
 */
export function createSampler(options: SamplingOptions = {}): Sampler {
  const { temperature = 0, topK = Number.POSITIVE_INFINITY, topP = 1, seed = randomInt(2 ** 47) } = options;
  if (!(temperature >= 0 && temperature < Number.POSITIVE_INFINITY)) {
    throw optionInvalid('temperature', temperature, 'a finite number, at least 0');
  }
  if (options.topK !== undefined && !(Number.isSafeInteger(topK) && topK >= 1)) {
    throw optionInvalid('topK', topK, 'a positive integer');
  }
  if (!(topP > 0 && topP <= 1)) throw optionInvalid('topP', topP, 'above 0 and at most 1');
  if (!(Number.isSafeInteger(seed) && seed >= 0)) throw optionInvalid('seed', seed, 'a non-negative safe integer');
  if (temperature === 0) return greedy;
  return (logits, index) => {
    const ids = candidates(weigh(logits, temperature), topK, topP);
    return draw(ids, uniform(seed, index));
  };
}

/** The id of the largest logit; of equal ones the lowest; 0 where all are NaN. */
export function greedy(logits: Float32Array): number {
  let best = -1;
  for (let id = 0; id < logits.length; id++) {
    const logit = logits[id]!;
    if (!Number.isNaN(logit) && (best < 0 || logit > logits[best]!)) best = id;
  }
  return Math.max(best, 0);
}

interface Candidate {
  readonly id: number;
  /** Probability, not normalised. */
  readonly weight: number;
}

/** exp((logit − largest) / temperature); infinitely large logits share everything. */
function weigh(logits: Float32Array, temperature: number): Float64Array {
  const largest = logits[greedy(logits)]!;
  return Float64Array.from(logits, (logit) => {
    if (logit === largest) return 1; // also where both are infinite
    return logit < largest ? Math.exp((logit - largest) / temperature) : 0;
  });
}

/** What may be drawn, most probable first where topK or topP cut; else by id. */
function candidates(weights: Float64Array, topK: number, topP: number): Candidate[] {
  if (topK < weights.length) return nucleus(largest(weights, topK), topP);
  // Without topK: tokens below `least` together weigh less than 1 − topP, so topP keeps none of them.
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const least = (total * (1 - topP)) / weights.length;
  const kept: Candidate[] = [];
  weights.forEach((weight, id) => {
    if (weight >= least && weight > 0) kept.push({ id, weight });
  });
  return topP === 1 ? kept : nucleus(kept.sort(byRank), topP, total);
}

const byRank = (a: Candidate, b: Candidate): number => b.weight - a.weight || a.id - b.id;

/** The k of largest weight that have any, most probable first. */
function largest(weights: Float64Array, k: number): Candidate[] {
  const top: Candidate[] = [];
  weights.forEach((weight, id) => {
    if (weight === 0 || (top.length === k && weight <= top[k - 1]!.weight)) return;
    let at = top.length; // ids ascend, so equal weights stay in order
    while (at > 0 && top[at - 1]!.weight < weight) at--;
    top.splice(at, 0, { id, weight });
    if (top.length > k) top.pop();
  });
  return top;
}

/** The shortest beginning that weighs topP of the total. */
function nucleus(ranked: readonly Candidate[], topP: number, total = weightOf(ranked)): Candidate[] {
  let sum = 0;
  const end = topP < 1 ? ranked.findIndex(({ weight }) => (sum += weight) >= topP * total) : -1;
  return end < 0 ? [...ranked] : ranked.slice(0, end + 1);
}

const weightOf = (kept: readonly Candidate[]): number => kept.reduce((sum, { weight }) => sum + weight, 0);

function draw(kept: readonly Candidate[], u: number): number {
  let left = u * weightOf(kept);
  for (const { id, weight } of kept) {
    left -= weight;
    if (left < 0) return id;
  }
  return kept.at(-1)?.id ?? 0; // rounding, or all logits NaN
}
