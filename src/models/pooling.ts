// Weighted sums of table rows, slice by slice and block by block (UltraMem §1.12-13).

import { embedding, type F32, groupSum, type I32, mul, reshape } from '../dsl/index.ts';

/** Rows of a table [N,Dv]: slice c of row[t,j] weighted by scores[t,j,c], summed per block: f32[T,groups,Dv]. All i32[T,R], f32[T,R,h]. */
export function poolSlices(
  table: F32,
  { row, block, scores }: { readonly row: I32; readonly block: I32; readonly scores: F32 },
  groups: number,
): F32 {
  const [T = 1, R = 1, h = 1] = scores.shape;
  const Dv = Number(table.shape[1]);
  const slices = reshape(embedding(table, row), [T, R, h, Dv / Number(h)]);
  const weighted = reshape(mul(slices, reshape(scores, [T, R, h, 1])), [T, R, Dv]);
  return groupSum(weighted, block, { groups });
}
