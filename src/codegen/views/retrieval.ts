// Views of the memory layer's kernels.

import type { Launch, View } from '../../plan/types.ts';
import { elementType, firstStride, pointer, pointerOrNull } from '../cpp.ts';
import type { KernelView } from './kernel-view.ts';

export const scoreTopkView = ({ constants, reads, writes }: Launch<'score_topk'>): KernelView => {
  const sizes = `${constants.H}, ${constants.N}, ${constants.D}, ${constants.K}, ${constants.perHead}`;
  return {
    header: 'score_topk',
    sizes,
    q: pointer(reads.q as View),
    ldq: firstStride(reads.q as View),
    keys: pointer(reads.keys as View),
    packed: pointer(reads.packed as View),
    values: pointer(writes.values),
    index: pointer(writes.index),
    scratch: `score_topk_scratch<${sizes}>()`,
  };
};

export const packKeysView = ({ constants: c, reads, writes }: Launch<'pack_keys'>): KernelView => ({
  header: 'score_topk',
  sizes: [c.H, c.N, c.D].join(', '),
  keys: pointer(reads.keys as View),
  packed: pointer(writes.packed),
});

export const gatherDotView = ({ constants: c, reads, writes }: Launch<'gather_dot'>): KernelView => ({
  header: 'gather_dot',
  sizes: [c.H, c.N, c.R, c.D, c.M, c.queryHead, c.queryRank].join(', '),
  q: pointer(reads.q as View),
  ldq: firstStride(reads.q as View),
  keys: pointer(reads.keys as View),
  index: pointer(reads.index as View),
  ldi: firstStride(reads.index as View),
  y: pointer(writes.y),
  ldy: firstStride(writes.y),
});

export const gridTopkView = ({ constants: c, reads, writes }: Launch<'grid_topk'>): KernelView => ({
  header: 'grid_topk',
  sizes: [c.H, c.M, c.R, c.C, c.K].join(', '),
  row: pointer(reads.row as View),
  ldrow: firstStride(reads.row as View),
  col: pointer(reads.col as View),
  ldcol: firstStride(reads.col as View),
  core: pointer(reads.core as View),
  position: pointer(writes.position),
  ldp: firstStride(writes.position),
  scores: pointer(writes.scores),
  lds: firstStride(writes.scores),
  scratch: `grid_topk_scratch<${[c.M, c.R, c.C, c.K].join(', ')}>()`,
});

export const sumGridTopkView = ({ constants: c, reads, writes }: Launch<'sum_grid_topk'>): KernelView => ({
  header: 'sum_grid_topk',
  sizes: [c.H, c.N, c.M, c.K].join(', '),
  row: pointer(reads.row as View),
  ldrow: firstStride(reads.row as View),
  col: pointer(reads.col as View),
  ldcol: firstStride(reads.col as View),
  rowIndex: pointer(reads.rowIndex as View),
  ldRowIndex: firstStride(reads.rowIndex as View),
  colIndex: pointer(reads.colIndex as View),
  ldColIndex: firstStride(reads.colIndex as View),
  shuffle: pointerOrNull(reads.shuffle),
  slot: pointer(writes.slot),
  ldSlot: firstStride(writes.slot),
  scores: pointer(writes.scores),
  ldScores: firstStride(writes.scores),
  scratch: `sum_grid_topk_scratch<${c.M}, ${c.K}>()`,
});

export const rescoreTopkView = ({ constants: c, reads, writes }: Launch<'rescore_topk'>): KernelView => {
  const sizes = [c.H, c.N, c.R, c.D, c.M, c.C, c.K];
  return {
    header: 'rescore_topk',
    sizes: [...sizes, c.queryHead, c.queryRank].join(', '),
    rowIndex: pointer(reads.rowIndex as View),
    ldRowIndex: firstStride(reads.rowIndex as View),
    colIndex: pointer(reads.colIndex as View),
    ldColIndex: firstStride(reads.colIndex as View),
    qRow: pointer(reads.qRow as View),
    ldqRow: firstStride(reads.qRow as View),
    qCol: pointer(reads.qCol as View),
    ldqCol: firstStride(reads.qCol as View),
    keysRow: pointer(reads.keysRow as View),
    keysCol: pointer(reads.keysCol as View),
    core: pointer(reads.core as View),
    shuffle: pointerOrNull(reads.shuffle),
    slot: pointer(writes.slot),
    ldSlot: firstStride(writes.slot),
    scores: pointer(writes.scores),
    ldScores: firstStride(writes.scores),
    next: `Prefetch{${pointerOrNull(reads.next)}, ${c.nextRows}, ${c.nextRowBytes}, ${c.nextInFile}}`,
    scratch: `rescore_topk_scratch<${sizes.join(', ')}>()`,
  };
};

/** A table as kernels take it: the address of its rows, with that of their scales where they have any. */
const rowsOf = (table: View, scale: View | null): string =>
  scale === null ? pointer(table) : `ScaledRows{${pointer(table)}, ${pointer(scale)}}`;
export const askRowsView = ({ constants: c, reads }: Launch<'ask_rows'>): KernelView => ({
  header: 'ask_rows',
  table: pointer(reads.table as View),
  sizes: [c.N, c.rowBytes, c.R].join(', '),
  slot: pointer(reads.slot as View),
  ldSlot: firstStride(reads.slot as View),
});

export const gatherPoolView = ({ constants: c, reads, writes }: Launch<'gather_pool'>): KernelView => ({
  header: 'gather_pool',
  sizes: [c.N, c.D, c.R, c.C, c.G].join(', '),
  table: rowsOf(reads.table as View, reads.scale),
  slot: pointer(reads.slot as View),
  ldSlot: firstStride(reads.slot as View),
  scores: pointer(reads.scores as View),
  ldScores: firstStride(reads.scores as View),
  y: pointer(writes.y),
  ldy: firstStride(writes.y),
});

export const poolLinearView = ({ constants: c, reads, writes }: Launch<'pool_linear'>): KernelView => ({
  header: 'pool_linear',
  sizes: [c.N, c.D, c.R, c.C, c.G, c.out].join(', '),
  table: rowsOf(reads.table as View, reads.scale),
  slot: pointer(reads.slot as View),
  ldSlot: firstStride(reads.slot as View),
  scores: pointer(reads.scores as View),
  ldScores: firstStride(reads.scores as View),
  pooled: pointer(writes.pooled),
  packed: pointer(reads.packed as View),
  y: pointer(writes.y),
  ldy: c.ldy,
  scratch: `pool_linear_scratch<${c.out}, ${c.G * c.D}, ${elementType[(reads.packed as View).dtype]}>()`,
});

export const rank1View = ({ constants: c, reads, writes }: Launch<'rank1'>): KernelView => ({
  header: 'rank1',
  sizes: [c.H, c.R].join(', '),
  core: pointer(reads.core as View),
  u0: pointer(reads.u0 as View),
  v0: pointer(reads.v0 as View),
  u: pointer(writes.u),
  v: pointer(writes.v),
});
