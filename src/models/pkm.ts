// Product-key memory (PKM, UltraMem §3): stands where a feed-forward part would, its values as wide as the stream.

import { einsum, embedding, type F32, type ModelContext, reshape, softmax } from '../dsl/index.ts';
import { batchNormed } from './batch-norm.ts';
import { productKeys } from './product-keys.ts';
import { refuseSizes, tapsOf } from './tapped.ts';

/** Sizes and options of a layer that retrieves by product keys; letters in brackets are those of UltraMem §3. */
export interface PkmOptions {
  /** Width of x and of the result [D]. */
  readonly width: number;
  /** Keys per side [n]; tables have n² rows. */
  readonly knum: number;
  /** Width of a key, half of a head's query [Dk]. */
  readonly kdim: number;
  /** Rows kept per head [m]. */
  readonly knn: number;
  /** Heads [H]; default 4. */
  readonly heads?: number;
  /** Whether queries go through a BatchNorm; default true. */
  readonly queryNorm?: boolean;
  /** Of the norm; default 1e-5. */
  readonly eps?: number;
  /** Put before every weight's name; default none. */
  readonly prefix?: string;
  /** Put before every tap's name; default `mid.`. */
  readonly taps?: string;
}

/**
 * One PKM layer: x f32[T,D] → f32[T,D].
 *
 * Weights: `query_proj.weight` [2·H·Dk,D] and `.bias`, `query_norm.weight`, `.bias`, `.running_mean` and `.running_var` [2·H·Dk],
 * `keys` [H,2,n,Dk], `values.weight` [n²,D].
 */
export function pkm(m: ModelContext, x: F32, options: PkmOptions): F32 {
  const { width, knum, prefix = '' } = options;
  const refused = refusePkm(m, 'pkm', options);
  if (refused) return refused;
  const { index, weights } = pkmRetrieval(m, x, options);
  const table = m.weight(`${prefix}values.weight`, [knum * knum, width]);
  return einsum('tr,trd->td', weights, embedding(table, index));
}

/** The rows i32[T,H·m] that x retrieves, and softmax weights f32[T,H·m] of each head's; shared with PEER. */
export function pkmRetrieval(m: ModelContext, x: F32, options: PkmOptions) {
  const { knum, kdim, knn, heads: H = 4, queryNorm = true, eps, prefix = '', taps = 'mid.' } = options;
  const T = x.shape[0] ?? 1;
  const tapped = tapsOf(m, taps);
  const normed = batchNormed(m, x, {
    linear: `${prefix}query_proj`,
    norm: queryNorm ? `${prefix}query_norm` : undefined,
    width: 2 * H * kdim,
    ...(eps !== undefined && { eps }),
  });
  const query = tapped('query_norm', reshape(normed, [T, H, 2, kdim]));
  const { index, scores } = productKeys(query, m.weight(`${prefix}keys`, [H, 2, knum, kdim]), { knn }, tapped);
  const weights = tapped('lookup_scores', reshape(softmax(scores), [T, H * knn]));
  return { index: tapped('shuffled_index', index), weights };
}

/** Refuses sizes that are no integers of at least 1. */
export const refusePkm = (
  m: ModelContext,
  layer: string,
  { width, knum, kdim, knn, heads = 4 }: PkmOptions,
): F32 | undefined => refuseSizes(m, layer, { width, knum, kdim, knn, heads });
