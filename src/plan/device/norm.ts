// norm and add_norm: a warp per row.

import type { Lower } from './launch.ts';
import { reads, writes } from './operands.ts';
import { WARPS, warpPer } from './threads.ts';

export const lowerNorm: Lower<'norm'> = ({ constants: c, rows, reads: { x, weight, bias }, writes: { y } }, at) =>
  at.emit({
    kernel: 'norm',
    header: 'norm',
    constants: [c.type === 'layer', c.H, c.D, c.ldx, c.ldy, WARPS],
    rows,
    pointers: [reads('x', x), reads('weight', weight), reads('bias', bias), writes('y', y)],
    scalars: [c.eps],
    ...warpPer(at.rowsAtMost(rows) * c.H),
  });

export const lowerAddNorm: Lower<'add_norm'> = ({ constants: c, rows, reads: r, writes: w }, at) =>
  at.emit({
    kernel: 'add_norm',
    header: 'norm',
    constants: [c.type === 'layer', c.D, c.ldx, c.ldr, c.lds, c.ldy, WARPS],
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
    ...warpPer(at.rowsAtMost(rows)),
  });
