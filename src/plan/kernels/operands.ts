// Reading a node's operands, attributes and shapes during planning.

import { type Dim, type Node, typeText } from '../../ir/graph.ts';
import { unsupportedShape } from '../../support/errors/plan.ts';
import { invariant } from '../../support/errors.ts';
import type { Scheduler } from '../scheduler.ts';
import type { Count, View } from '../types.ts';
import { tokenAxis } from '../views.ts';

/** Decides the kernel of one node: adds launches, or defines its results as views. */
export type PlanOp = (node: Node, at: Scheduler) => void;

/** The view of operand `i`. */
export function operand(node: Node, i: number, at: Scheduler): View {
  const id = node.inputs[i];
  invariant(id !== undefined, `${node.op} has no operand ${i}`);
  return at.view(id);
}

/** Allocates result `i`. */
export function result(node: Node, i: number, at: Scheduler): View {
  const r = node.results[i];
  invariant(r !== undefined, `${node.op} has no result ${i}`);
  return at.result(r);
}

export function numberAttr(node: Node, name: string): number {
  const value = node.attrs[name];
  invariant(typeof value === 'number', `${node.op} lacks the number "${name}"`);
  return value;
}

export function textAttr(node: Node, name: string): string {
  const value = node.attrs[name];
  invariant(typeof value === 'string', `${node.op} lacks the text "${name}"`);
  return value;
}

/** The size of an axis counted from the end (1 = last); an error where it is T. */
export function sizeFromEnd(node: Node, view: View, back: number): number {
  const dim: Dim | undefined = view.shape[view.shape.length - back];
  if (typeof dim !== 'number') {
    const got = typeText({ dtype: view.dtype, shape: view.shape });
    throw unsupportedShape(node.op, `axis ${-back} of its operand`, 'a size known when compiling', got, node.loc);
  }
  return dim;
}

/** The product of the sizes of axes `from` to `to` (T counts as 1). */
export const sizeBetween = (view: View, from: number, to: number): number =>
  view.shape.slice(from, to).reduce<number>((n, d) => (typeof d === 'number' ? n * d : n), 1);

/** The first axis as the kernel's tokens, be it T or a size; an error where T is another axis. */
export function leadCount(node: Node, view: View): Count {
  const first = view.shape[0];
  requireTokensFirst(node.op, view, node);
  return typeof first === 'number' ? { factor: first, tokens: false } : { factor: 1, tokens: true };
}

/** Throws where T is an axis of the view but not its first. */
export function requireTokensFirst(what: string, view: View, node?: Node): void {
  if (tokenAxis(view.shape) <= 0) return;
  const got = typeText({ dtype: view.dtype, shape: view.shape });
  throw unsupportedShape(what, 'the symbolic dim', 'the first axis', got, node?.loc);
}

/** Operand `i` with everything inside its first axis row-major. */
export const rowMajor = (node: Node, i: number, at: Scheduler): View => at.contiguous(operand(node, i, at));

/** Operand `i` without gaps. */
export const gapless = (node: Node, i: number, at: Scheduler): View => at.dense(operand(node, i, at));
