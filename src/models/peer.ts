// PEER (UltraMem §3): product keys choose experts of one neuron, two rows each: u looks at x, w is what the expert adds.

import { einsum, embedding, type F32, gelu, type ModelContext, mul } from '../dsl/index.ts';
import { type PkmOptions, pkmRetrieval, refusePkm } from './pkm.ts';
import { tapsOf } from './tapped.ts';

/**
 * One PEER layer: x f32[T,D] → f32[T,D], Σ over the kept experts of softmax(score)·GELU(⟨u,x⟩)·w.
 *
 * Weights: those of `pkm` but for its values, and `down.weight` [n²,D], the rows u, and `up.weight` [n²,D], the rows w.
 */
export function peer(m: ModelContext, x: F32, options: PkmOptions): F32 {
  const { width, knum, prefix = '', taps = 'mid.' } = options;
  const refused = refusePkm(m, 'peer', options);
  if (refused) return refused;
  const { index, weights } = pkmRetrieval(m, x, options);
  const rows = (name: string): F32 => embedding(m.weight(`${prefix}${name}.weight`, [knum * knum, width]), index);
  const active = tapsOf(m, taps)('expert_act', gelu(einsum('td,trd->tr', x, rows('down'))));
  return einsum('tr,trd->td', mul(weights, active), rows('up'));
}
