// Maps of one result: unary and binary ops alone, and chains that a pass has fused into one expression.

import type { Node } from '../../ir/graph.ts';
import { unsupportedShape } from '../../support/errors/plan.ts';
import type { Scheduler } from '../scheduler.ts';
import type { View } from '../types.ts';
import { broadcastStrides, mergeAxes, tokenForm } from '../views.ts';
import { operand, type PlanOp, result, textAttr } from './operands.ts';

export const planUnary: PlanOp = (node, at) => planMap(node, at, `${textAttr(node, 'fn')}(a)`);

export const planBinary: PlanOp = (node, at) => planMap(node, at, `${textAttr(node, 'fn')}(a,b)`);

export const planElementwise: PlanOp = (node, at) => planMap(node, at, textAttr(node, 'expr'));

/** Operand `i` of an expression is named by its letter. */
const letter = (i: number): string => String.fromCharCode(97 + i);

function planMap(node: Node, at: Scheduler, expr: string): void {
  const literals: Record<string, number> = {};
  const views: { name: string; view: View; strides: readonly number[] }[] = [];
  const shape = node.results[0]!.type.shape;
  for (const [i, id] of node.inputs.entries()) {
    const constant = at.index.constant(id);
    if (constant !== undefined) {
      literals[letter(i)] = constant.value;
      continue;
    }
    const view = operand(node, i, at);
    const strides = broadcastStrides(view, shape);
    if (strides === undefined) {
      throw unsupportedShape(
        node.op,
        `operand ${i}`,
        'aligned with the symbolic dim of the result',
        `[${view.shape.join(',')}] against [${shape.join(',')}]`,
        node.loc,
      );
    }
    views.push({ name: letter(i), view, strides });
  }
  const y = result(node, 0, at);
  const form = tokenForm(y);
  const merged = mergeAxes(form.dims, [form.strides, ...views.map((v) => v.strides)]);
  at.launch('elementwise', {
    rows: { factor: 1, tokens: form.tokens },
    constants: { expr, dims: merged.dims, strides: merged.operands.slice(1), literals },
    reads: Object.fromEntries(views.map((v) => [v.name, v.view])),
    writes: { y },
  });
  const fused = (expr.match(/[a-z0-9_]+\(/g) ?? []).length;
  if (fused > 1) at.decide(`%${node.results[0]!.id}`, 'one map', `${fused} elementwise ops in one pass over memory`);
}
