// Ops that only move elements: reshape, transpose and slice are views where strides can say it; concat and cast copy.

import type { Dim } from '../../ir/graph.ts';
import { unsupportedShape } from '../../support/errors/plan.ts';
import { invariant } from '../../support/errors.ts';
import { reshapeView, sliceView, tokenForm, transposeView } from '../views.ts';
import { numberAttr, operand, type PlanOp, result } from './operands.ts';

export const planReshape: PlanOp = (node, at) => {
  const shape = node.attrs.shape as readonly Dim[];
  const x = operand(node, 0, at);
  const id = node.results[0]!.id;
  const view = reshapeView(x, shape);
  if (view !== undefined) {
    at.decide(`%${id}`, 'view', 'a reshape that strides can express moves nothing');
    at.define(id, view);
    return;
  }
  // T stands first in memory, so a value whose T is not its first axis cannot always be reshaped even when copied.
  const copied = reshapeView(at.dense(x), shape);
  if (copied === undefined) {
    throw unsupportedShape(
      'reshape',
      'the symbolic dim',
      'at the same place among the other dims',
      `[${shape.join(',')}]`,
      node.loc,
    );
  }
  at.define(id, copied);
};

export const planTranspose: PlanOp = (node, at) => {
  const id = node.results[0]!.id;
  at.decide(`%${id}`, 'view', 'a transpose only permutes strides');
  at.define(id, transposeView(operand(node, 0, at), node.attrs.perm as readonly number[]));
};

export const planSlice: PlanOp = (node, at) => {
  const x = operand(node, 0, at);
  const axis = numberAttr(node, 'axis');
  const id = node.results[0]!.id;
  if (typeof x.shape[axis] !== 'number') {
    throw unsupportedShape('slice', `axis ${axis}`, 'a size known when compiling', String(x.shape[axis]), node.loc);
  }
  at.decide(`%${id}`, 'view', 'a slice is an offset into its operand');
  at.define(id, sliceView(x, axis, numberAttr(node, 'start'), numberAttr(node, 'end')));
};

/** One copy per operand, each into its part of the result. */
export const planConcat: PlanOp = (node, at) => {
  const axis = numberAttr(node, 'axis');
  const y = result(node, 0, at);
  if (typeof y.shape[axis] !== 'number') {
    throw unsupportedShape('concat', `axis ${axis}`, 'a size known when compiling', String(y.shape[axis]), node.loc);
  }
  let start = 0;
  for (const [i] of node.inputs.entries()) {
    const x = operand(node, i, at);
    const size = x.shape[axis] as number;
    at.copyInto(x, sliceView(y, axis, start, start + size));
    start += size;
  }
};

export const planCast: PlanOp = (node, at) => {
  const x = operand(node, 0, at);
  const id = node.results[0]!.id;
  if (x.dtype === node.attrs.dtype) at.define(id, x);
  else at.copyInto(x, result(node, 0, at));
};

/** A scalar: written by prepare when a kernel wants it in memory; elementwise kernels take it as a literal. */
export const planConstant: PlanOp = (node, at) => {
  const { dims } = tokenForm({ buffer: '', offset: 0, strides: [], ...node.results[0]!.type });
  invariant(dims.length === 0, 'a constant is a scalar');
  at.decide(`%${node.results[0]!.id}`, 'literal', 'a scalar stands in the source of the kernels that use it');
};
