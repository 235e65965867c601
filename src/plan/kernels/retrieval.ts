// The memory layer's kernels (UltraMem §1 steps 5-13): scores with top-k, re-scoring, and the pooled gather.

import type { Node } from '../../ir/graph.ts';
import { dtypeBytes } from '../../support/dtype.ts';
import { askRows, valueTable } from '../file-tables.ts';
import { type Scheduler, stem } from '../scheduler.ts';
import type { View } from '../types.ts';
import { gapless, leadCount, numberAttr, type PlanOp, result, rowMajor, sizeFromEnd } from './operands.ts';

/** Strides from head to head and from rank to rank of a query: shared by all [T,D], per rank [T,R,D], per head [T,H,D] or [T,H,1,D]. */
function queryStrides(q: View, rank: 'rank' | 'head', node: Node): { queryHead: number; queryRank: number } {
  if (q.shape.length < 3) return { queryHead: 0, queryRank: 0 };
  const D = sizeFromEnd(node, q, 1);
  return rank === 'rank' && q.shape.length === 3 ? { queryHead: 0, queryRank: D } : { queryHead: D, queryRank: 0 };
}

/** Operands: q, keys. */
export const planScoreTopk: PlanOp = (node, at) => {
  const q = rowMajor(node, 0, at);
  const keys = gapless(node, 1, at);
  const H = sizeFromEnd(node, keys, 3);
  const N = sizeFromEnd(node, keys, 2);
  const D = sizeFromEnd(node, keys, 1);
  const perHead = q.shape.length === 3;
  at.launch('score_topk', {
    rows: leadCount(node, q),
    constants: { H, N, D, K: numberAttr(node, 'k'), perHead },
    reads: { q, keys, packed: at.onDevice ? null : packedKeys(at, keys, H, N, D) },
    writes: { values: result(node, 0, at), index: result(node, 1, at) },
  });
  at.decide(
    `%${node.results[0]!.id}`,
    `score_topk<${H},${N},${D}>`,
    'scores by keys rounded to bytes when weights load leave few keys to score exactly; none is written',
  );
};

/** Words that D bytes of 64 keys take, with what belongs to each: see native/cpu/byte_keys.h. */
const bytePanelWords = (D: number): number => (Math.ceil(D / 4) + 4) * 64;

/** The keys of every head packed for native/cpu/score_topk.h. */
function packedKeys(at: Scheduler, keys: View, H: number, N: number, D: number): View {
  return at.prepared(`keys ${JSON.stringify(keys)}`, (prepare) => {
    const shape = [H, Math.ceil(N / 64) * bytePanelWords(D)];
    const packed = prepare.temporary(`${stem(keys.buffer)}_bytes`, { dtype: 'i32', shape });
    prepare.launch('pack_keys', { constants: { H, N, D }, reads: { keys }, writes: { packed } });
    return packed;
  });
}

/** Operands: q, keys, index. */
export const planGatherDot: PlanOp = (node, at) => {
  const q = rowMajor(node, 0, at);
  const keys = gapless(node, 1, at);
  const index = rowMajor(node, 2, at);
  at.launch('gather_dot', {
    rows: leadCount(node, index),
    constants: { ...keyConstants(node, keys), M: sizeFromEnd(node, index, 1), ...queryStrides(q, 'rank', node) },
    reads: { q, keys, index },
    writes: { y: result(node, 0, at) },
  });
};

const keyConstants = (node: Node, keys: View) => ({
  H: sizeFromEnd(node, keys, 4),
  N: sizeFromEnd(node, keys, 3),
  R: sizeFromEnd(node, keys, 2),
  D: sizeFromEnd(node, keys, 1),
});

/** Operands: row, col, core. */
export const planGridTopk: PlanOp = (node, at) => {
  const row = rowMajor(node, 0, at);
  const core = gapless(node, 2, at);
  at.launch('grid_topk', {
    rows: leadCount(node, row),
    constants: {
      H: sizeFromEnd(node, row, 3),
      M: sizeFromEnd(node, row, 2),
      R: sizeFromEnd(node, row, 1),
      C: sizeFromEnd(node, core, 3),
      K: numberAttr(node, 'k'),
    },
    reads: { row, col: rowMajor(node, 1, at), core },
    writes: { position: result(node, 0, at), scores: result(node, 1, at) },
  });
};

/** Operands: row, col, rowIndex, colIndex, and shuffle where `shuffled`. */
export const planSumGridTopk: PlanOp = (node, at) => {
  const row = rowMajor(node, 0, at);
  at.launch('sum_grid_topk', {
    rows: leadCount(node, row),
    constants: {
      H: sizeFromEnd(node, row, 2),
      N: numberAttr(node, 'keys'),
      M: sizeFromEnd(node, row, 1),
      K: numberAttr(node, 'k'),
    },
    reads: {
      row,
      col: rowMajor(node, 1, at),
      rowIndex: rowMajor(node, 2, at),
      colIndex: rowMajor(node, 3, at),
      shuffle: node.attrs.shuffled === true ? gapless(node, 4, at) : null,
    },
    writes: { slot: result(node, 0, at), scores: result(node, 1, at) },
  });
};

/** Operands: rowIndex, colIndex, qRow, qCol, keysRow, keysCol, core, and shuffle where `shuffled`. */
export const planRescoreTopk: PlanOp = (node, at) => {
  const rowIndex = rowMajor(node, 0, at);
  const qRow = rowMajor(node, 2, at);
  const keysRow = gapless(node, 4, at);
  const core = gapless(node, 6, at);
  const slot = node.results[0]!.id;
  const next = valueTable(slot, at);
  at.launch('rescore_topk', {
    rows: leadCount(node, rowIndex),
    constants: {
      ...keyConstants(node, keysRow),
      M: sizeFromEnd(node, rowIndex, 1),
      C: sizeFromEnd(node, core, 3),
      K: numberAttr(node, 'k'),
      ...queryStrides(qRow, 'rank', node),
      nextRows: next === null ? 0 : (next.shape[0] as number),
      nextRowBytes: next === null ? 0 : next.strides[0]! * dtypeBytes[next.dtype],
      nextInFile: next !== null && at.isInFile(next),
    },
    reads: {
      rowIndex,
      colIndex: rowMajor(node, 1, at),
      qRow,
      qCol: rowMajor(node, 3, at),
      keysRow,
      keysCol: gapless(node, 5, at),
      core,
      shuffle: node.attrs.shuffled === true ? gapless(node, 7, at) : null,
      next,
    },
    writes: { slot: result(node, 0, at), scores: result(node, 1, at) },
  });
  if (next !== null) at.decide(`%${slot}`, 'touches value rows ahead', 'the slots address a table that is read next');
};

/** Operands: table, slot, scores, and the scales of a quantised table. */
export const planGatherPool: PlanOp = (node, at) => {
  const table = gapless(node, 0, at);
  const slot = rowMajor(node, 1, at);
  const scores = rowMajor(node, 2, at);
  const rows = leadCount(node, slot);
  const R = sizeFromEnd(node, slot, 1);
  askRows(node, at, table, { id: node.inputs[1]!, view: slot, rows, width: R });
  at.launch('gather_pool', {
    rows,
    constants: {
      N: sizeFromEnd(node, table, 2),
      D: sizeFromEnd(node, table, 1),
      R,
      C: sizeFromEnd(node, scores, 1),
      G: numberAttr(node, 'groups'),
    },
    reads: { table, scale: node.inputs.length > 3 ? gapless(node, 3, at) : null, slot, scores },
    writes: { y: result(node, 0, at) },
  });
};

/** Operands: core, u0, v0. */
export const planRank1: PlanOp = (node, at) => {
  const core = gapless(node, 0, at);
  at.launch('rank1', {
    constants: { H: sizeFromEnd(node, core, 3), R: sizeFromEnd(node, core, 1) },
    reads: { core, u0: gapless(node, 1, at), v0: gapless(node, 2, at) },
    writes: { u: result(node, 0, at), v: result(node, 1, at) },
  });
};
