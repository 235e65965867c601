// gather_pool: pieces of a token's columns. Few tokens: a block's warps share the rows of a piece; many: a warp per piece.

import type { View } from '../types.ts';
import type { Lower } from './launch.ts';
import { atMost, MAX_GROUPS } from './limits.ts';
import { firstStride, reads, runLength, writes } from './operands.ts';

const WARPS = 8;
/** Tokens up to which a warp per piece leaves a device idle. */
const FEW = 16;

/** Lanes of a row: the most that leave the fewest idle in its last piece. */
function widest(loads: number): number {
  const idle = (lanes: number) => Math.ceil(loads / lanes) * lanes - loads;
  return [32, 16, 8].reduce((best, lanes) => (idle(lanes) < idle(best) ? lanes : best));
}

export const lowerGatherPool: Lower<'gather_pool'> = ({ constants: c, rows, reads: r, writes: { y }, loc }, at) => {
  atMost('gather_pool', 'groups', c.G, MAX_GROUPS, loc);
  const [table, slot, scores] = [r.table, r.slot, r.scores] as View[];
  const scale = r.scale === null ? [] : [reads('scale', r.scale)];
  const width = Math.min(runLength(c.D / c.C, [table!], [y, firstStride(y)]), c.G > 8 ? 4 : 8);
  const most = at.rowsAtMost(rows);
  const split = most <= FEW;
  const lanes = split ? 8 : widest(Math.ceil(c.D / width));
  const pieces = most * Math.ceil(c.D / (lanes * width));
  at.emit({
    kernel: 'gather_pool',
    header: 'gather_pool',
    constants: [
      ...[c.N, c.D, c.R, c.C, c.G, firstStride(slot!), firstStride(scores!), firstStride(y)],
      ...[lanes, split ? WARPS : 1, width],
    ],
    rows,
    pointers: [reads('table', table!), ...scale, reads('slot', slot!), reads('scores', scores!), writes('y', y)],
    scalars: [],
    grid: [split ? pieces : Math.ceil(pieces / WARPS), 1, 1],
    block: [WARPS * 32, 1, 1],
  });
};
