// topk: a warp per short row, a block per long one.

import type { Lower } from './launch.ts';
import { atMost, MAX_KEPT } from './limits.ts';
import { reads, writes } from './operands.ts';
import { WARPS, warpPer } from './threads.ts';

/** Values of a row that are worth the warps of a whole block. */
const LONG_ROW = 1024;
const WARPS_PER_ROW = 8;

export const lowerTopk: Lower<'topk'> = ({ constants: c, rows, reads: { x }, writes: w, loc }, at) => {
  atMost('topk', 'k', c.K, MAX_KEPT, loc);
  const long = c.N >= LONG_ROW;
  const most = at.rowsAtMost(rows);
  at.emit({
    kernel: 'topk',
    header: 'topk',
    constants: [c.N, c.K, c.ldx, long ? WARPS_PER_ROW : 1, long ? 1 : WARPS],
    rows,
    pointers: [reads('x', x), writes('values', w.values), writes('index', w.index)],
    scalars: [],
    ...(long ? { grid: [most, 1, 1], block: [WARPS_PER_ROW * 32, 1, 1] } : warpPer(most)),
  });
};
