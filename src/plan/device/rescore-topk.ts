// rescore_topk: a block per token and head takes the selected keys to slots and scores.

import type { View } from '../types.ts';
import { requireGrid } from './grid-topk.ts';
import type { Lower } from './launch.ts';
import { firstStride, reads, runLength, writes } from './operands.ts';

export const lowerRescoreTopk: Lower<'rescore_topk'> = ({ constants: c, rows, reads: r, writes: w, loc }, at) => {
  requireGrid('rescore_topk', c, loc);
  const [qRow, qCol, keysRow, keysCol] = [r.qRow, r.qCol, r.keysRow, r.keysCol] as View[];
  const strides = [r.rowIndex as View, r.colIndex as View, qRow!, qCol!, w.slot, w.scores].map(firstStride);
  const width = runLength(c.D, [qRow!, firstStride(qRow!)], [qCol!, firstStride(qCol!)], [keysRow!], [keysCol!]);
  at.emit({
    kernel: 'rescore_topk',
    header: 'rescore_topk',
    constants: [...[c.H, c.N, c.R, c.D, c.M, c.C, c.K, c.queryHead, c.queryRank], ...[...strides, 0, width]],
    rows,
    pointers: [
      reads('rowIndex', r.rowIndex),
      reads('colIndex', r.colIndex),
      reads('qRow', qRow!),
      reads('qCol', qCol!),
      reads('keysRow', keysRow!),
      reads('keysCol', keysCol!),
      reads('core', r.core),
      reads('shuffle', r.shuffle),
      writes('slot', w.slot),
      writes('scores', w.scores),
    ],
    scalars: [],
    grid: [at.rowsAtMost(rows), c.H, 1],
    block: [256, 1, 1],
  });
};
