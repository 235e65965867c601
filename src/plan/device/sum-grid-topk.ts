// sum_grid_topk: a warp per token and head.

import type { View } from '../types.ts';
import type { Lower } from './launch.ts';
import { atMost, MAX_KEPT } from './limits.ts';
import { firstStride, reads, writes } from './operands.ts';
import { WARPS, warpPer } from './threads.ts';

export const lowerSumGridTopk: Lower<'sum_grid_topk'> = ({ constants: c, rows, reads: r, writes: w, loc }, at) => {
  atMost('sum_grid_topk', 'k', c.K, MAX_KEPT, loc);
  const strides = [r.row, r.col, r.rowIndex, r.colIndex, w.slot, w.scores].map((view) => firstStride(view as View));
  at.emit({
    kernel: 'sum_grid_topk',
    header: 'sum_grid_topk',
    constants: [c.H, c.N, c.M, c.K, ...strides, WARPS],
    rows,
    pointers: [
      reads('row', r.row),
      reads('col', r.col),
      reads('rowIndex', r.rowIndex),
      reads('colIndex', r.colIndex),
      reads('shuffle', r.shuffle),
      writes('slot', w.slot),
      writes('scores', w.scores),
    ],
    scalars: [],
    ...warpPer(at.rowsAtMost(rows) * c.H),
  });
};
