// elementwise and copy: a thread per element of the result.

import type { View } from '../types.ts';
import type { Lower } from './launch.ts';
import { elementOf, intsText, reads, tokenStride, writes } from './operands.ts';
import { threadPer } from './threads.ts';

const product = (sizes: readonly number[]): number => sizes.reduce((n, d) => n * d, 1);

export const lowerElementwise: Lower<'elementwise'> = ({ constants: c, rows, reads: r, writes: { y } }, at) => {
  const operands = Object.entries(r) as [string, View][];
  at.emit({
    kernel: 'elementwise',
    header: 'elementwise',
    map: { expr: c.expr, literals: c.literals },
    constants: [
      c.dims,
      tokenStride(y),
      elementOf(y),
      ...operands.map(([, view], i) => `Operand<${elementOf(view)}, ${tokenStride(view)}, ${intsText(c.strides[i]!)}>`),
    ],
    rows,
    pointers: [writes('y', y), ...operands.map(([name, view]) => reads(name, view))],
    scalars: [],
    ...threadPer(at.rowsAtMost(rows) * product(c.dims)),
  });
};

export const lowerCopy: Lower<'copy'> = ({ constants: c, rows, reads: { x }, writes: { y } }, at) =>
  at.emit({
    kernel: 'copy',
    header: 'elementwise',
    constants: [c.dims, elementOf(x!), tokenStride(x!), c.xStrides, elementOf(y), tokenStride(y), c.yStrides],
    rows,
    pointers: [reads('x', x), writes('y', y)],
    scalars: [],
    ...threadPer(at.rowsAtMost(rows) * product(c.dims)),
  });
