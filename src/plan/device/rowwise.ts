// softmax, reduce, group_sum: ops on an axis of rows.

import { tokenForm } from '../views.ts';
import type { Lower } from './launch.ts';
import { firstStride, reads, tokenStride, writes } from './operands.ts';
import { threadPer, WARPS, warpPer } from './threads.ts';

export const lowerSoftmax: Lower<'softmax'> = ({ constants: { H, D }, rows, reads: { x }, writes: { y } }, at) =>
  at.emit({
    kernel: 'softmax',
    header: 'softmax',
    constants: [H, D, tokenStride(x!), tokenStride(y), WARPS],
    rows,
    pointers: [reads('x', x), writes('y', y)],
    scalars: [],
    ...warpPer(at.rowsAtMost(rows) * H),
  });

const reductions: Readonly<Record<string, string>> = { sum: 'Sum', mean: 'Mean', max: 'Max' };

export const lowerReduce: Lower<'reduce'> = ({ constants: c, rows, reads: { x }, writes: { y } }, at) => {
  const elements = at.rowsAtMost(rows) * c.outer * c.inner;
  const warp = c.inner === 1 && c.N >= 32;
  at.emit({
    kernel: 'reduce',
    header: 'reduce',
    constants: [reductions[c.fn]!, warp ? 32 : 1, c.outer, c.N, c.inner, tokenStride(x!), tokenStride(y)],
    rows,
    pointers: [reads('x', x), writes('y', y)],
    scalars: [],
    ...(warp ? warpPer(elements) : threadPer(elements)),
  });
};

export const lowerGroupSum: Lower<'group_sum'> = (
  { constants: { R, D, G }, rows, reads: { x, group }, writes: { y } },
  at,
) =>
  at.emit({
    kernel: 'group_sum',
    header: 'reduce',
    constants: [R, D, G, firstStride(x!), firstStride(group!), tokenForm(y).tokens ? tokenStride(y) : G * D],
    rows,
    pointers: [reads('x', x), reads('group', group), writes('y', y)],
    scalars: [],
    ...threadPer(at.rowsAtMost(rows) * G * D),
  });
