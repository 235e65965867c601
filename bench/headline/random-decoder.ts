// Random weights of a decoder, as bf16 from the start.

import type { Model } from 'ultramem';
import { trace } from 'ultramem/compile';
import type { Tensor } from 'ultramem/runtime';
import { randomWeights } from '../random-weights.ts';

/**
 * All weights but those that a checkpoint may lack. They begin as decoders are trained from: rows of the embedding of size 1 an element, what is
 * added to the residual stream by 1/√(2·layers) smaller. Tokens then stay as different as their ids through all blocks, and choose experts and rows of
 * their own.
 * @throws what tracing throws
 */
export function randomDecoder(model: Model, layers: number, seed: number): Readonly<Record<string, Tensor>> {
  const weights = trace(model).weights.flatMap(({ name, type, optional }) =>
    optional ? [] : [{ name, dtype: type.dtype === 'f32' ? 'bf16' : type.dtype, shape: type.shape.map(Number) }],
  );
  const gain = (name: string): number => {
    if (name.endsWith('wte.weight')) return Math.sqrt(weights.find((weight) => weight.name === name)!.shape.at(-1)!);
    return /\.(attn_out|ff_out|experts\.out|values_proj)\.weight$/.test(name) ? 1 / Math.sqrt(2 * layers) : 1;
  };
  return randomWeights(weights, seed, gain);
}
