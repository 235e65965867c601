// gather_rows and gather: a thread per element of the result.

import type { Lower } from './launch.ts';
import { reads, tokenStride, writes } from './operands.ts';
import { threadPer } from './threads.ts';

export const lowerGatherRows: Lower<'gather_rows'> = (
  { constants: { N, D, M }, rows, reads: { table, index }, writes: { y } },
  at,
) =>
  at.emit({
    kernel: 'gather_rows',
    header: 'gather',
    constants: [N, D, M, tokenStride(index!), tokenStride(y)],
    rows,
    pointers: [reads('table', table), reads('index', index), writes('y', y)],
    scalars: [],
    ...threadPer(at.rowsAtMost(rows) * M * D),
  });

export const lowerGather: Lower<'gather'> = ({ constants: c, rows, reads: { source, index }, writes: { y } }, at) =>
  at.emit({
    kernel: 'gather',
    header: 'gather',
    constants: [
      c.dims,
      c.count,
      c.stride,
      tokenStride(source!),
      c.sourceStrides,
      tokenStride(index!),
      c.indexStrides,
      tokenStride(y),
    ],
    rows,
    pointers: [reads('source', source), reads('index', index), writes('y', y)],
    scalars: [],
    ...threadPer(at.rowsAtMost(rows) * c.dims.reduce((n, d) => n * d, 1)),
  });
