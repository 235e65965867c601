// grid_topk: a block per token and head.

import type { Loc } from '../../ir/graph.ts';
import type { View } from '../types.ts';
import type { Lower } from './launch.ts';
import { atMost, MAX_CORES, MAX_KEPT, MAX_RANKS } from './limits.ts';
import { firstStride, reads, writes } from './operands.ts';

/** @throws UltramemError `unsupported-shape` where a grid does not fit a block */
export function requireGrid(op: string, c: { K: number; M: number; R: number; C: number }, loc: Loc | undefined): void {
  atMost(op, 'k', c.K, MAX_KEPT, loc);
  atMost(op, 'm', c.M, MAX_KEPT, loc);
  atMost(op, 'r', c.R, MAX_RANKS, loc);
  atMost(op, 'h', c.C, MAX_CORES, loc);
}

export const lowerGridTopk: Lower<'grid_topk'> = ({ constants: c, rows, reads: r, writes: w, loc }, at) => {
  requireGrid('grid_topk', c, loc);
  const strides = [r.row as View, r.col as View, w.position, w.scores].map(firstStride);
  at.emit({
    kernel: 'grid_topk',
    header: 'grid_topk',
    constants: [c.H, c.M, c.R, c.C, c.K, ...strides],
    rows,
    pointers: [
      reads('row', r.row),
      reads('col', r.col),
      reads('core', r.core),
      writes('position', w.position),
      writes('scores', w.scores),
    ],
    scalars: [],
    grid: [at.rowsAtMost(rows), c.H, 1],
    block: [256, 1, 1],
  });
};
