// norm and add_norm: a warp per row, a block per row where it is long.

import type { Loc } from '../../ir/graph.ts';
import { unsupportedShape } from '../../support/errors/plan.ts';
import type { Extent3, Lower } from './launch.ts';
import { reads, writes } from './operands.ts';
import { warpPer } from './threads.ts';

/** Above this width a warp would hold more of a row than its registers should. */
const WARP_WIDTH = 256;
/** A block of `threads` holds up to 32 elements per thread. */
const [THREADS, MOST_THREADS, HELD] = [256, 512, 32];

/** Warps of one row, and the launch of so many rows. */
function rowShape(
  op: string,
  rows: number,
  D: number,
  loc: Loc | undefined,
): { warps: number; grid: Extent3; block: Extent3 } {
  if (D <= WARP_WIDTH) return { warps: 1, ...warpPer(rows) };
  const threads = D <= THREADS * HELD ? THREADS : MOST_THREADS;
  if (D > threads * HELD)
    throw unsupportedShape(op, 'the last axis', `at most ${threads * HELD} on a device`, String(D), loc);
  return { warps: threads / 32, grid: [Math.max(1, rows), 1, 1], block: [threads, 1, 1] };
}

export const lowerNorm: Lower<'norm'> = (
  { constants: c, rows, reads: { x, weight, bias }, writes: { y }, loc },
  at,
) => {
  const { warps, ...shape } = rowShape('norm', at.rowsAtMost(rows) * c.H, c.D, loc);
  at.emit({
    kernel: 'norm',
    header: 'norm',
    constants: [c.type === 'layer', c.H, c.D, c.ldx, c.ldy, warps],
    rows,
    pointers: [reads('x', x), reads('weight', weight), reads('bias', bias), writes('y', y)],
    scalars: [c.eps],
    ...shape,
  });
};

export const lowerAddNorm: Lower<'add_norm'> = ({ constants: c, rows, reads: r, writes: w, loc }, at) => {
  const { warps, ...shape } = rowShape('add_norm', at.rowsAtMost(rows), c.D, loc);
  at.emit({
    kernel: 'add_norm',
    header: 'norm',
    constants: [c.type === 'layer', c.D, c.ldx, c.ldr, c.lds, c.ldy, warps],
    rows,
    pointers: [
      reads('x', r.x),
      reads('r', r.r),
      reads('weight', r.weight),
      reads('bias', r.bias),
      writes('sum', w.sum),
      writes('y', w.y),
    ],
    scalars: [c.eps],
    ...shape,
  });
};
