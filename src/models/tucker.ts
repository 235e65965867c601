// Retrieval by Tucker scores, as UltraMem V1 and V2 have it: two sides of keys, a grid of their best, slots behind a permutation.

import {
  add,
  concat,
  einsum,
  type F32,
  gather,
  type I32,
  idiv,
  imod,
  layerNorm,
  type ModelContext,
  mul,
  rank1,
  reshape,
  rmsNorm,
  sum,
  take,
  topk,
  transpose,
  unstack,
  weightedSum,
} from '../dsl/index.ts';
import type { Tapped } from './tapped.ts';

/** Norm of queries and keys. */
export interface NormChoice {
  /** Default rms. `layer` has a weight and no bias. */
  readonly norm?: 'rms' | 'layer';
  /** Default 1e-5. */
  readonly eps?: number;
}

/** Sizes of a retrieval; letters in brackets are those of UltraMem §1. */
export interface TuckerSizes {
  /** Keys scored per side [n']. */
  readonly keys: number;
  /** Width of a key [Dk]. */
  readonly kdim: number;
  /** Heads [H]. */
  readonly heads: number;
  /** Rank of a score [r]. */
  readonly rank: number;
  /** Score cores [h]. */
  readonly cores: number;
  /** Keys kept per side. */
  readonly side: number;
  /** Rows kept per head [m], at most side². */
  readonly kept: number;
  /** Whether slots go through the stored permutation `shuffle_index`. */
  readonly shuffle: boolean;
  /** Put before every weight's name. */
  readonly prefix: string;
}

/**
 * The slots [T,R] of each token, R = H·m, heads one after the other, and the cores' own scores of them f32[T,R,h] (UltraMem §1.4-11).
 *
 * Queries are normed already: f32[T,Dk] shared by heads and ranks, f32[T,r,Dk] with one per rank, or, with `per` head, f32[T,H,Dk].
 * Weights: `keys` [H,2,n',Dk,r], `keys_norm.weight` [Dk], `tucker_core.c` [H,r,r], `tucker_core_u` and `tucker_core_v` [1,H,1,r]
 * (optional: rank-one factors are computed where they are absent or zero), `shuffle_index` [n'²].
 */
export function tuckerRetrieval(
  m: ModelContext,
  { row, col, per }: { readonly row: F32; readonly col: F32; readonly per: 'token' | 'rank' | 'head' },
  sizes: TuckerSizes & NormChoice,
  tapped: Tapped,
): { slot: I32; scores: F32 } {
  const [keysRow, keysCol] = sideKeys(m, sizes, tapped);
  const { core, u, v } = tuckerCores(m, sizes);
  const labels = { token: 'td,hnrd->thnr', rank: 'trd,hnrd->thnr', head: 'thd,hnrd->thnr' }[per];
  const best = bestOfGrid(
    sizes,
    {
      row: scoreSide(sizes, { side: 1, query: row, keys: keysRow, merge: u, labels }, tapped),
      col: scoreSide(sizes, { side: 2, query: col, keys: keysCol, merge: v, labels }, tapped),
      core,
    },
    tapped,
  );
  const slot = tapped('shuffled_index', sizes.shuffle ? shuffled(m, best.index, sizes) : best.index);
  return { slot, scores: best.scores };
}

/** The norm of queries and keys. */
export const normed = (x: F32, weight: F32, { norm = 'rms', eps = 1e-5 }: NormChoice): F32 =>
  norm === 'layer' ? layerNorm(x, weight, { eps }) : rmsNorm(x, weight, { eps });

/** The row keys and the column keys, normed over their width: [H,n',r,Dk] each (§1.4). */
function sideKeys(m: ModelContext, sizes: TuckerSizes & NormChoice, tapped: Tapped): [F32, F32] {
  const { heads, keys, kdim, rank, prefix } = sizes;
  const stored = m.weight(`${prefix}keys`, [heads, 2, keys, kdim, rank]);
  const weight = m.weight(`${prefix}keys_norm.weight`, [kdim]);
  const both = tapped('keys_norm', normed(transpose(stored, [0, 1, 2, 4, 3]), weight, sizes));
  return unstack(both, { axis: 1, count: 2 }) as [F32, F32];
}

/** All cores C^(c) as [H,h,r,r], and the factors u, v [H,r] that merge rank scores (§1.6). */
function tuckerCores(m: ModelContext, { heads, cores, rank, prefix }: TuckerSizes): { core: F32; u: F32; v: F32 } {
  const each = Array.from({ length: cores }, (_, c) =>
    reshape(m.weight(`${prefix}tucker_core.${c}`, [heads, rank, rank]), [heads, 1, rank, rank]),
  );
  const core = each.length === 1 ? each[0]! : concat(each, { axis: 1 });
  const stored = (name: string): F32 =>
    reshape(m.weight(`${prefix}${name}`, [1, heads, 1, rank], { optional: true }), [heads, rank]);
  const [u, v] = rank1(sum(core, { axis: 1 }), stored('tucker_core_u'), stored('tucker_core_v'));
  return { core, u, v };
}

interface Kept {
  /** [T,H,side] */
  readonly index: I32;
  /** Of every rank: [T,H,side,r] */
  readonly scores: F32;
}

/** The best keys of a side (§1.5-7). */
function scoreSide(
  { side: kept }: TuckerSizes,
  { side, query, keys, merge, labels }: { side: 1 | 2; query: F32; keys: F32; merge: F32; labels: string },
  tapped: Tapped,
): Kept {
  const ranks = tapped(`scores${side}_refine`, einsum(labels, query, keys)); // [T,H,n',r]
  const merged = tapped(`scores${side}`, weightedSum(ranks, merge)); // [T,H,n']
  const [best, index] = topk(merged, { k: kept });
  tapped(`stage1_scores${side}`, best);
  tapped(`stage1_index${side}`, index);
  return { index, scores: take(ranks, index) };
}

/** The m best of the grid: their virtual indices [T,R] and core scores [T,R,h], heads one after the other (§1.8-10). */
function bestOfGrid(
  { side, kept, heads, cores, keys }: TuckerSizes,
  { row, col, core }: { row: Kept; col: Kept; core: F32 },
  tapped: Tapped,
): { index: I32; scores: F32 } {
  const T = row.index.shape[0] ?? 1;
  const halfway = einsum('thar,hcrs->thcas', row.scores, core);
  const grids = einsum('thcas,thbs->thcab', halfway, col.scores); // [T,H,h,side,side]
  const grid = tapped('grid_scores', reshape(sum(grids, { axis: 2 }), [T, heads, side * side]));
  const [best, position] = topk(grid, { k: kept });
  tapped('grid_top_scores', best);
  tapped('grid_top_pos', position);
  const rowIndex = take(row.index, idiv(position, side));
  const colIndex = take(col.index, imod(position, side));
  const index = tapped('best_index', reshape(add(mul(rowIndex, keys), colIndex), [T, heads * kept]));
  const ofCore = gather('thcg,thm->thmc', reshape(grids, [T, heads, cores, side * side]), position);
  return { index, scores: tapped('best_scores', reshape(ofCore, [T, heads * kept, cores])) };
}

/** Slots through the stored permutation of all n'² of them (§1.11). */
function shuffled(m: ModelContext, index: I32, { keys, prefix }: TuckerSizes): I32 {
  const table = m.weight(`${prefix}shuffle_index`, [keys * keys], { dtype: 'i32', below: keys * keys });
  return gather('n,tr->tr', table, index);
}
