// Retrieval by product keys with added scores: what PKM, Memory+ and PEER share (UltraMem §3).

import { add, einsum, type F32, type I32, idiv, imod, mul, reshape, take, topk, unstack } from '../dsl/index.ts';
import type { Tapped } from './tapped.ts';

/**
 * The m best pairs of a row key and a column key for each head: query f32[T,H,2,Dk], keys f32[H,2,n,Dk] → addresses i32[T,H·m]
 * below n², heads one after the other, and their scores f32[T,H,m], best first. A pair scores the sum of its sides.
 */
export function productKeys(
  query: F32,
  keys: F32,
  { knn: m }: { readonly knn: number },
  tapped: Tapped,
): { index: I32; scores: F32 } {
  const [T = 1, H = 1] = query.shape;
  const n = Number(keys.shape[2]);
  const ofKeys = unstack(keys, { axis: 1, count: 2 });
  const [row, col] = unstack(query, { axis: 2, count: 2 }).map((q, i) => {
    const scores = tapped(`scores${i + 1}`, einsum('thd,hnd->thn', q, ofKeys[i]!));
    const [best, index] = topk(scores, { k: m });
    return { best: tapped(`stage1_scores${i + 1}`, best), index: tapped(`stage1_index${i + 1}`, index) };
  }) as [{ best: F32; index: I32 }, { best: F32; index: I32 }];
  const sums = add(reshape(row.best, [T, H, m, 1]), reshape(col.best, [T, H, 1, m]));
  const grid = tapped('grid_scores', reshape(sums, [T, H, m * m]));
  const [best, position] = topk(grid, { k: m });
  tapped('grid_top_pos', position);
  const address = add(mul(take(row.index, idiv(position, m)), n), take(col.index, imod(position, m)));
  const index = tapped('best_index', reshape(address, [T, Number(H) * m]));
  return { index, scores: tapped('grid_top_scores', best) };
}
