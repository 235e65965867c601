// Ops that know which sequence a token belongs to: rope, attention, causal_conv. Their states are updated in place.

import { unsupportedShape } from '../../support/errors/plan.ts';
import {
  gapless,
  leadCount,
  numberAttr,
  operand,
  type PlanOp,
  result,
  rowMajor,
  sizeFromEnd,
  textAttr,
} from './operands.ts';

export const planRope: PlanOp = (node, at) => {
  const x = rowMajor(node, 0, at);
  at.launch('rope', {
    rows: leadCount(node, x),
    constants: {
      H: sizeFromEnd(node, x, 2),
      D: sizeFromEnd(node, x, 1),
      theta: numberAttr(node, 'theta'),
      layout: textAttr(node, 'layout'),
    },
    reads: { x, positions: gapless(node, 1, at) },
    writes: { y: result(node, 0, at) },
  });
};

/** Operands: q, k, v, positions, sequence, kcache, vcache. */
export const planAttention: PlanOp = (node, at) => {
  const q = rowMajor(node, 0, at);
  const k = rowMajor(node, 1, at);
  const kcache = operand(node, 5, at);
  const Hq = sizeFromEnd(node, q, 2);
  const Hkv = sizeFromEnd(node, k, 2);
  const D = sizeFromEnd(node, q, 1);
  if (Hq % Hkv !== 0) {
    throw unsupportedShape('attention', 'query heads', `a multiple of the ${Hkv} kv heads`, String(Hq), node.loc);
  }
  at.launch('attention', {
    rows: leadCount(node, q),
    constants: { Hq, Hkv, D, C: sizeFromEnd(node, kcache, 3), scale: numberAttr(node, 'scale') },
    reads: { q, k, v: rowMajor(node, 2, at), positions: gapless(node, 3, at), sequence: gapless(node, 4, at) },
    writes: { kcache, vcache: operand(node, 6, at), y: result(node, 0, at) },
  });
};

/** Operands: x, w, positions, sequence, window. */
export const planCausalConv: PlanOp = (node, at) => {
  const x = rowMajor(node, 0, at);
  const w = gapless(node, 1, at);
  at.launch('causal_conv', {
    rows: leadCount(node, x),
    constants: { D: sizeFromEnd(node, w, 2), K: sizeFromEnd(node, w, 1) },
    reads: { x, w, positions: gapless(node, 2, at), sequence: gapless(node, 3, at) },
    writes: { window: operand(node, 4, at), y: result(node, 0, at) },
  });
};
