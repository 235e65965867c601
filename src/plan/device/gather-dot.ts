// gather_dot: a block per token and head.

import type { View } from '../types.ts';
import type { Lower } from './launch.ts';
import { atMost, MAX_KEPT, MAX_RANKS } from './limits.ts';
import { firstStride, reads, runLength, writes } from './operands.ts';

export const lowerGatherDot: Lower<'gather_dot'> = ({ constants: c, rows, reads: r, writes: { y }, loc }, at) => {
  atMost('gather_dot', 'r', c.R, MAX_RANKS, loc);
  atMost('gather_dot', 'm', c.M, 16 * MAX_KEPT, loc);
  const q = r.q as View;
  const keys = r.keys as View;
  const index = r.index as View;
  const ldq = firstStride(q);
  const width = runLength(c.D, [q, ldq], [keys]);
  at.emit({
    kernel: 'gather_dot',
    header: 'gather_dot',
    constants: [
      ...[c.H, c.N, c.R, c.D, c.M, c.queryHead, c.queryRank],
      ...[ldq, firstStride(index), firstStride(y), width],
    ],
    rows,
    pointers: [reads('q', q), reads('keys', keys), reads('index', index), writes('y', y)],
    scalars: [],
    grid: [at.rowsAtMost(rows), c.H, 1],
    block: [256, 1, 1],
  });
};
