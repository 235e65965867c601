// Words that look across the tokens of a sequence.

import { apply1, knownOptions } from './apply.ts';
import type { F32, I32, State } from './tensor.ts';

export interface RopeOptions {
  /** Base of the frequencies; default 10000. */
  readonly theta?: number;
  /** Which elements of a head rotate together: i with i + hd/2 (`half`, the default) or 2i with 2i + 1. */
  readonly layout?: 'half' | 'interleaved';
}

/** Rotary positions: x f32[T,H,hd] with hd even, positions i32[T] → the same shape. */
export function rope(x: F32, positions: I32, options: RopeOptions = {}): F32 {
  knownOptions('rope', options, ['theta', 'layout']);
  return apply1('rope', 'rope', [x, positions], { theta: options.theta ?? 10000, layout: options.layout ?? 'half' });
}

export interface AttentionOptions {
  /** i32[T], place of each token in its sequence. */
  readonly positions: I32;
  /** i32[T], which sequence each token belongs to. */
  readonly sequence: I32;
  /** State f32[S,C,Hkv,hd]: keys of all earlier tokens; C is the context. */
  readonly keys: State;
  /** State f32[S,C,Hkv,hd]: their values. */
  readonly values: State;
  /** Factor of the scores; default hd^−½. */
  readonly scale?: number;
}

/**
 * Causal softmax attention of flat tokens: q f32[T,Hq,hd], k and v f32[T,Hkv,hd] → f32[T,Hq,hd]. Keys and values go into the
 * states first; then a token sees the positions up to its own in its own sequence. Hq a multiple of Hkv: query head h reads
 * key head ⌊h·Hkv/Hq⌋.
 */
export function attention(q: F32, k: F32, v: F32, options: AttentionOptions): F32 {
  knownOptions('attention', options, ['positions', 'sequence', 'keys', 'values', 'scale']);
  const { positions, sequence, keys, values, scale } = options;
  return apply1('attention', 'attention', [q, k, v, positions, sequence, keys, values], (q) => ({
    scale: scale ?? 1 / Math.sqrt(Number(q?.shape.at(-1))),
  }));
}

export interface CausalConvOptions {
  readonly positions: I32;
  readonly sequence: I32;
  /** State f32[S,K−1,D]: the latest K − 1 inputs of every sequence. */
  readonly window: State;
}

/**
 * Causal depthwise convolution over each sequence: x f32[T,D], weight f32[D,K] → f32[T,D]:
 * y[t] = Σ_j weight[:,K−1−j]·x at position p−j, zero before the sequence starts (UltraMem §1.1).
 */
export function causalConv(x: F32, weight: F32, options: CausalConvOptions): F32 {
  knownOptions('causalConv', options, ['positions', 'sequence', 'window']);
  const { positions, sequence, window } = options;
  return apply1('causalConv', 'causal_conv', [x, weight, positions, sequence, window], {});
}
