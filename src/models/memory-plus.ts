// The Memory+ layer (UltraMem §3): product keys, a softmax per head, a table that all layers share, and a gate.

import {
  einsum,
  embedding,
  type F32,
  linear,
  type ModelContext,
  mul,
  reshape,
  silu,
  softmax,
  type WeightPlacement,
} from '../dsl/index.ts';
import { productKeys } from './product-keys.ts';
import { refuseSizes, tapsOf } from './tapped.ts';
import { normed } from './tucker.ts';
import type { SharedLayerNames } from './ultramem-v2.ts';

/** Sizes and options of a layer; letters in brackets are those of UltraMem §3. */
export interface MemoryPlusOptions {
  /** Width of x, of a value row and of the result [D]. */
  readonly width: number;
  /** Keys per side [n]; the table has n² rows. */
  readonly knum: number;
  /** Width of a key [Dk]. */
  readonly kdim: number;
  /** Rows kept per head [m]. */
  readonly knn: number;
  /** Heads [H]; default 2. */
  readonly heads?: number;
  /** Norm of queries; keys are taken as they are. Default rms. */
  readonly norm?: 'rms' | 'layer';
  /** Of the norm; default 1e-5. */
  readonly eps?: number;
  /** Where the table lies: in memory, the default, or in the checkpoint's file, rows read as they are chosen. */
  readonly valuePlacement?: WeightPlacement;
}

/** Declares the table of all layers, `full_memory_layer.values_for_look_up` [n²,D] behind `prefix`. */
export const memoryPlusTable = (
  m: ModelContext,
  { knum, width, valuePlacement: placement = 'memory' }: MemoryPlusOptions,
  prefix = '',
): F32 => m.weight(`${prefix}full_memory_layer.values_for_look_up`, [knum * knum, width], { placement });

/**
 * One Memory+ layer: x f32[T,D] → f32[T,D], to be added to the residual stream.
 *
 * Weights: `query_proj.weight` [2·H·Dk,D], `query_norm.weight` [Dk], `keys` [H,2,n,Dk], `swilu_projection.weight` [D,D] and
 * `values_proj.weight` [D,D]. The reference norms its keys by `keys_norm.weight` [Dk] and drops the result: checkpoints may have it.
 */
export function memoryPlus(
  m: ModelContext,
  x: F32,
  table: F32,
  options: MemoryPlusOptions & Omit<SharedLayerNames, 'n'>,
): F32 {
  const { width: D, knum, kdim, knn, heads: H = 2, prefix } = options;
  const refused = refuseSizes(m, 'memoryPlus', { width: D, knum, kdim, knn, heads: H });
  if (refused) return refused;
  const T = x.shape[0] ?? 1;
  const R = H * knn;
  const tapped = tapsOf(m, options.taps);
  const square = (name: string) => m.weight(`${prefix}${name}.weight`, [D, D]);

  const projected = tapped('query_proj', linear(x, m.weight(`${prefix}query_proj.weight`, [2 * H * kdim, D])));
  const norm = m.weight(`${prefix}query_norm.weight`, [kdim]);
  const query = tapped('query_norm', normed(reshape(projected, [T, H, 2, kdim]), norm, options));
  m.weight(`${prefix}keys_norm.weight`, [kdim], { optional: true });
  const { index, scores } = productKeys(query, m.weight(`${prefix}keys`, [H, 2, knum, kdim]), { knn }, tapped);
  tapped('shuffled_index', index);
  const weights = tapped('softmax_scores', reshape(softmax(scores), [T, R]));
  tapped('lookup_scores', weights);
  const pooled = tapped('pooled', einsum('tr,trd->td', weights, embedding(table, index)));
  const gate = tapped('swiglu_gate_in', linear(x, square('swilu_projection')));
  return linear(mul(pooled, silu(gate)), square('values_proj'));
}
