// Equations of einsum and gather: one lower-case letter per axis, as in `thn,hd->tnd`.

import type { Problem } from './op.ts';

/** An equation taken apart: labels of two operands and of the result. */
export interface Equation {
  readonly a: string;
  readonly b: string;
  readonly out: string;
}

/** Parses `ab,bc->ac`: two operands, labels single lower-case letters, none repeated within an operand or the result. */
export function parseEquation(kind: string, text: string): Equation | Problem {
  const bad = (message: string, wanted: string): Problem => ({ code: 'bad-equation', message, got: text, wanted });
  const parts = /^([a-z]*),([a-z]*)->([a-z]*)$/.exec(text);
  if (!parts) return bad(`${kind}: the equation does not read as "labels,labels->labels"`, 'for example "tk,nk->tn"');
  const [, a = '', b = '', out = ''] = parts;
  for (const labels of [a, b, out]) {
    const twice = [...labels].find((label, i) => labels.indexOf(label) !== i);
    if (twice) return bad(`${kind}: label ${twice} stands twice in "${labels}"`, 'each label once per operand');
  }
  const stray = [...out].find((label) => !a.includes(label) && !b.includes(label));
  if (stray) return bad(`${kind}: label ${stray} of the result is in no operand`, `labels of "${a}" and "${b}"`);
  return { a, b, out };
}
