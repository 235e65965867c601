// Ops on the last axis of rows: norm, add_norm, softmax, topk, reduce, group_sum.

import { computedType } from '../../ir/graph.ts';
import { unsupportedShape } from '../../support/errors/plan.ts';
import type { View } from '../types.ts';
import { tokenAxis, tokenForm } from '../views.ts';
import {
  leadCount,
  numberAttr,
  operand,
  type PlanOp,
  result,
  rowMajor,
  sizeBetween,
  sizeFromEnd,
  textAttr,
} from './operands.ts';

/** Heads inside a token, and whether there are tokens, of a value whose last axis is the row. */
const headsOf = (view: View, innerRank: number): number => {
  const { dims } = tokenForm(view);
  return dims.slice(0, dims.length - innerRank).reduce((n, d) => n * d, 1);
};

export const planNorm: PlanOp = (node, at) => {
  const x = at.contiguous(operand(node, 0, at));
  const D = sizeFromEnd(node, x, 1);
  const H = headsOf(x, 1);
  const type = textAttr(node, 'type');
  const bias = node.inputs.length > 2 ? at.dense(operand(node, 2, at)) : null;
  const y = result(node, 0, at);
  const form = tokenForm(x);
  // The kernel of rms norm has no bias, as hardly any model does: a second pass adds it.
  const addsBias = type === 'rms' && bias !== null;
  const normed = addsBias ? at.temporary(`${node.results[0]!.id}_scaled`, computedType(node.results[0]!.type)) : y;
  at.launch('norm', {
    // Without T the heads are the rows, so that work splits over threads.
    rows: form.tokens ? { factor: 1, tokens: true } : { factor: H, tokens: false },
    constants: {
      type,
      eps: numberAttr(node, 'eps'),
      H: form.tokens ? H : 1,
      D,
      ldx: form.tokens ? form.ld : D,
      ldy: form.tokens ? tokenForm(y).ld : D,
    },
    reads: { x, weight: at.dense(operand(node, 1, at)), bias: addsBias ? null : bias },
    writes: { y: normed },
  });
  if (!addsBias) return;
  at.launch('elementwise', {
    rows: { factor: 1, tokens: form.tokens },
    constants: {
      expr: 'add(a,b)',
      dims: [H, D],
      strides: [
        [D, 1],
        [0, 1],
      ],
      literals: {},
    },
    reads: { a: normed, b: bias },
    writes: { y },
  });
};

export const planAddNorm: PlanOp = (node, at) => {
  const x = at.rows(operand(node, 0, at), 1);
  const r = at.rows(operand(node, 1, at), 1);
  const D = sizeFromEnd(node, x.view, 1);
  const sum = result(node, 0, at);
  const y = result(node, 1, at);
  at.launch('add_norm', {
    rows: x.rows,
    constants: { type: textAttr(node, 'type'), eps: numberAttr(node, 'eps'), D, ldx: x.ld, ldr: r.ld, lds: D, ldy: D },
    reads: {
      x: x.view,
      r: r.view,
      weight: at.dense(operand(node, 2, at)),
      bias: node.inputs.length > 3 ? at.dense(operand(node, 3, at)) : null,
    },
    writes: { sum, y },
  });
  at.decide(`%${node.results[0]!.id}`, 'one pass', 'the sum is normalised while it is in cache');
};

export const planSoftmax: PlanOp = (node, at) => {
  const x = at.contiguous(operand(node, 0, at));
  const D = sizeFromEnd(node, x, 1);
  const { tokens } = tokenForm(x);
  at.launch('softmax', {
    rows: { factor: 1, tokens },
    constants: { H: headsOf(x, 1), D },
    reads: { x },
    writes: { y: result(node, 0, at) },
  });
};

export const planTopk: PlanOp = (node, at) => {
  const N = sizeFromEnd(node, operand(node, 0, at), 1);
  const x = at.rows(operand(node, 0, at), 1);
  at.launch('topk', {
    rows: x.rows,
    constants: { N, K: numberAttr(node, 'k'), ldx: x.ld },
    reads: { x: x.view },
    writes: { values: result(node, 0, at), index: result(node, 1, at) },
  });
};

export const planReduce: PlanOp = (node, at) => {
  const x = at.contiguous(operand(node, 0, at));
  const axis = numberAttr(node, 'axis');
  const N = x.shape[axis];
  if (typeof N !== 'number') {
    throw unsupportedShape('reduce', `axis ${axis}`, 'a size known when compiling', String(N), node.loc);
  }
  at.launch('reduce', {
    rows: { factor: 1, tokens: tokenAxis(x.shape) >= 0 },
    constants: {
      fn: textAttr(node, 'fn'),
      outer: sizeBetween(x, 0, axis),
      N,
      inner: sizeBetween(x, axis + 1, x.shape.length),
    },
    reads: { x },
    writes: { y: result(node, 0, at) },
  });
};

export const planGroupSum: PlanOp = (node, at) => {
  const x = rowMajor(node, 0, at);
  at.launch('group_sum', {
    rows: leadCount(node, x),
    constants: {
      R: sizeBetween(x, 1, 2),
      D: sizeBetween(x, 2, x.shape.length),
      G: numberAttr(node, 'groups'),
    },
    reads: { x, group: rowMajor(node, 1, at) },
    writes: { y: result(node, 0, at) },
  });
};
