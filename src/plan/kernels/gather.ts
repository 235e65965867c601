// Gathers: whole rows of a table, or a labelled loop nest.

import { parseEquation } from '../../ir/labels.ts';
import { isProblem } from '../../ir/op.ts';
import { unsupportedShape } from '../../support/errors/plan.ts';
import { invariant } from '../../support/errors.ts';
import { askRows } from '../file-tables.ts';
import { elementsPerToken, innerContiguous, isDense, tokenAxis, tokenForm } from '../views.ts';
import { operand, type PlanOp, result } from './operands.ts';

export const planGather: PlanOp = (node, at) => {
  const text = node.attrs.equation as string;
  const equation = parseEquation('gather', text);
  invariant(!isProblem(equation), 'an unverified gather');
  const source = operand(node, 0, at);
  const index = operand(node, 1, at);
  const axis = [...equation.a].findIndex((l) => !equation.out.includes(l));
  const count = source.shape[axis];
  if (typeof count !== 'number') {
    throw unsupportedShape(
      'gather',
      `label ${equation.a[axis]}`,
      'a size known when compiling',
      String(count),
      node.loc,
    );
  }
  const y = result(node, 0, at);
  const form = tokenForm(y);

  // "nd,t->td", "nd,tm->tmd": the index has all leading labels of the result, the table the rest.
  const rest = equation.a.slice(1);
  if (
    axis === 0 &&
    equation.out === equation.b + rest &&
    tokenAxis(source.shape) < 0 &&
    isDense(source) &&
    innerContiguous(index)
  ) {
    const M = elementsPerToken(index.shape);
    const D = elementsPerToken(source.shape.slice(1));
    const constants = { N: count, D, M };
    const rows = { factor: 1, tokens: form.tokens };
    askRows(node, at, source, { id: node.inputs[1]!, view: index, rows, width: M });
    at.launch('gather_rows', {
      rows,
      constants,
      reads: { table: source, index },
      writes: { y },
    });
    at.decide(`%${node.results[0]!.id}`, 'rows', 'whole rows of a table are copied');
    return;
  }
  const kept = [...equation.out].filter((l) => typeof y.shape[equation.out.indexOf(l)] === 'number');
  const strides = (labels: string, view: typeof source) =>
    kept.map((l) => (labels.includes(l) ? view.strides[labels.indexOf(l)]! : 0));
  at.launch('gather', {
    rows: { factor: 1, tokens: form.tokens },
    constants: {
      dims: kept.map((l) => y.shape[equation.out.indexOf(l)] as number),
      sourceStrides: strides(equation.a, source),
      indexStrides: strides(equation.b, index),
      count,
      stride: source.strides[axis]!,
    },
    reads: { source, index },
    writes: { y },
  });
  at.decide(`%${node.results[0]!.id}`, 'loop nest', `"${text}" is no copy of whole rows`);
};
