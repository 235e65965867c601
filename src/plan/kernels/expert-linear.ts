// Products with chosen experts: choices are grouped by expert once, however many products use them; then every chosen matrix
// is read once for all its tokens.

import type { Scheduler } from '../scheduler.ts';
import type { Count, View } from '../types.ts';
import { gapless, leadCount, type PlanOp, result, rowMajor, sizeFromEnd } from './operands.ts';

/** Operands: x, weights, index, and scores where choices are summed. */
export const planExpertLinear: PlanOp = (node, at) => {
  const x = rowMajor(node, 0, at);
  const weights = gapless(node, 1, at);
  const index = rowMajor(node, 2, at);
  const [E, N, D] = [3, 2, 1].map((back) => sizeFromEnd(node, weights, back)) as [number, number, number];
  const K = sizeFromEnd(node, index, 1);
  const rows = leadCount(node, index);
  const summed = node.inputs.length === 4;
  const y = summed
    ? at.temporary(`${node.results[0]!.id}_parts`, { dtype: 'f32', shape: [...index.shape, N] })
    : result(node, 0, at);
  at.launch('expert_linear', {
    rows,
    constants: { E, N, D, K, ldx: x.strides[0]!, ldk: x.shape.length === 3 ? x.strides[1]! : 0 },
    reads: { x, weights, ...grouped(at, index, rows, E) },
    writes: { y },
  });
  at.decide(
    `%${node.results[0]!.id}`,
    `expert_linear<${E},${N},${D}>`,
    'the rows of every chosen matrix are read once, where the weights lie, for all tokens that chose it',
  );
  if (!summed) return;
  // [T,K,N] is small beside the matrices; a sum of its own keeps the order of additions that of the choices.
  at.launch('einsum', {
    rows,
    constants: { dims: [N, K], yRank: 1, aStrides: [0, 1], bStrides: [1, N] },
    reads: { a: rowMajor(node, 3, at), b: y },
    writes: { y: result(node, 0, at) },
  });
};

/** The choices by expert, once for every index. */
function grouped(at: Scheduler, index: View, rows: Count, E: number): { groups: View; pairs: View } {
  return at.once(`expert groups ${E} ${JSON.stringify(index)}`, () => {
    const groups = at.temporary('expert_groups', { dtype: 'i32', shape: [E + 1, 2] });
    const pairs = at.temporary('expert_pairs', { dtype: 'i32', shape: index.shape });
    const K = index.shape[1] as number;
    at.launch('expert_groups', { rows, constants: { E, K }, reads: { index }, writes: { groups, pairs } });
    return { groups, pairs };
  });
}
