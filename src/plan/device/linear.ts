// linear: few rows read the weight once, many rows share tiles of it.

import { FEW_TOKENS } from '../variants.ts';
import type { Lower } from './launch.ts';
import { inFours, reads, writes } from './operands.ts';
import { WARPS, warpPer } from './threads.ts';

/** Rows and columns of y that a block of linear_many computes; its threads. */
const [TILE, THREADS] = [64, 128];

/** Columns of a warp: several share what they read of x, as long as enough warps remain to fill a device. */
const columnsOf = (rows: number, N: number): number => (rows === 1 || N < 1024 ? 1 : N < 4096 ? 2 : 4);

export const lowerLinear: Lower<'linear'> = (
  { constants: { N, K, ldx, ldy }, rows, reads: { x, packed }, writes: { y } },
  at,
) => {
  const most = at.rowsAtMost(rows);
  const pointers = [reads('x', x), reads('w', packed), writes('y', y)];
  const shared = { header: 'linear', rows, pointers, scalars: [] };
  const vector = inFours(x!, ldx, K) && inFours(packed!, K) ? 4 : 1;
  if (most <= FEW_TOKENS) {
    const columns = columnsOf(most, N);
    at.emit({
      ...shared,
      kernel: 'linear_few',
      constants: [N, K, ldx, ldy, most, columns, vector, WARPS],
      ...warpPer(Math.ceil(N / columns)),
    });
  } else {
    at.emit({
      ...shared,
      kernel: 'linear_many',
      constants: [N, K, ldx, ldy, vector],
      grid: [Math.ceil(N / TILE) * Math.ceil(most / TILE), 1, 1],
      block: [THREADS, 1, 1],
    });
  }
};
