// From logits to the next token. Devices that sample do the same arithmetic (native/cuda/sample.cuh), and all of its sums are
// of integers: a seed gives the same tokens from the same logits everywhere.

import { randomInt } from 'node:crypto';
import { optionInvalid } from '../support/errors/session.ts';
import type { Tensor } from '../support/tensor.ts';
import { uniform } from './philox.ts';
import { ranksOf, reach } from './token-ranks.ts';
import { steepnessOf, weigh } from './token-weights.ts';

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

/** Checked options, as choosing wants them. */
export interface Sampling {
  /** Of the weights over the logits, in halvings per unit; f32. */
  readonly steepness: number;
  /** 1 where the most probable token is always taken; the largest safe integer where all may be. */
  readonly topK: number;
  readonly topP: number;
  readonly seed: number;
}

/** A token to choose from row `row` of a step's logits; `index` counts the choices of a generation from 0. */
export interface Choice {
  readonly row: number;
  readonly index: number;
  readonly sampling: Sampling;
}

/** Chooses a token from one row of logits; `index` counts the choices of a generation from 0. */
export type Sampler = (logits: Float32Array, index: number) => number;

/** @throws UltramemError option-invalid */
export function checkSampling(options: SamplingOptions = {}): Sampling {
  const { temperature = 0, topK = Number.MAX_SAFE_INTEGER, topP = 1, seed = randomInt(2 ** 47) } = options;
  if (!(temperature >= 0 && temperature < Number.POSITIVE_INFINITY)) {
    throw optionInvalid('temperature', temperature, 'a finite number, at least 0');
  }
  if (!(Number.isSafeInteger(topK) && topK >= 1)) throw optionInvalid('topK', topK, 'a positive integer');
  if (!(topP > 0 && topP <= 1)) throw optionInvalid('topP', topP, 'above 0 and at most 1');
  if (!(Number.isSafeInteger(seed) && seed >= 0)) throw optionInvalid('seed', seed, 'a non-negative safe integer');
  if (temperature === 0) return { steepness: 0, topK: 1, topP: 1, seed };
  return { steepness: steepnessOf(temperature), topK, topP, seed };
}

/**
 * Makes a sampler. Equal logits rank by lowest id; NaN ranks last and is never drawn.
 * @throws UltramemError option-invalid
 */
export function createSampler(options: SamplingOptions = {}): Sampler {
  const sampling = checkSampling(options);
  return (logits, index) => chooseToken(logits, index, sampling);
}

/**
 * The tokens of `choices` from the logits of a step, f32[T,N].
 * @param vocab so many ids may be chosen: logits may be wider than what a model takes
 */
export function chooseTokens({ shape, data }: Tensor, choices: readonly Choice[], vocab = shape[1]!): Int32Array {
  const row = (at: number) =>
    (data as Float32Array).subarray(at * shape[1]!, at * shape[1]! + Math.min(vocab, shape[1]!));
  return Int32Array.from(choices, (choice) => chooseToken(row(choice.row), choice.index, choice.sampling));
}

function chooseToken(logits: Float32Array, index: number, { steepness, topK, topP, seed }: Sampling): number {
  const best = greedy(logits);
  if (topK === 1) return best;
  const ranks = ranksOf(logits);
  const weights = weigh(logits, logits[best]!, steepness);
  let total = topK < weights.length ? weightOfLargest(ranks, weights, topK) : weights.reduce((a, b) => a + b, 0);
  if (total === 0) return best; // all NaN
  if (topP < 1) total = reach(ranks, weights, Math.ceil(topP * total)).sum;
  return reach(ranks, weights, Math.floor(uniform(seed, index) * total) + 1).id;
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

/** What the k first tokens weigh together. */
function weightOfLargest(ranks: Uint32Array, weights: Float64Array, k: number): number {
  const { id: last } = reach(ranks, new Float64Array(ranks.length).fill(1), k);
  const isWithin = (id: number) => ranks[id]! > ranks[last]! || (ranks[id] === ranks[last] && id <= last);
  return weights.reduce((sum, weight, id) => (isWithin(id) ? sum + weight : sum), 0);
}
