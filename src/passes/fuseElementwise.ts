// Chains of unary and binary f32 functions → one elementwise node: one pass over memory instead of one per function.
// Needs nothing. After it no function of single elements reads, as its only reader, another of the same shape.
// Last of the fusions, so that none of them loses an addition or a factor to it.

import { type Expression, expressionText, maxOperands, parseExpression } from '../ir/expression.ts';
import type { Graph, Node, ValueId } from '../ir/graph.ts';
import { sameType } from '../ir/graph.ts';
import { matches, Rewriter, type Uses } from '../ir/index.ts';
import type { BinaryName } from '../ir/scalar-functions.ts';
import type { Trail } from '../ir/trail.ts';
import { idLike } from './sweep.ts';

export function fuseElementwise(graph: Graph, trail?: Trail): Graph {
  const rewriter = new Rewriter(graph, trail);
  const { uses } = rewriter;
  for (const node of graph.nodes) {
    if (!isMap(node, uses) || absorber(node, uses)) continue;
    const operands: ValueId[] = [];
    const body = bodyOf(node, uses, operands);
    if (node.inputs.every((id) => !absorbed(id, node, uses)) || operands.length === 0 || operands.length > maxOperands)
      continue;
    const by = rewriter.addOne(
      'elementwise',
      operands,
      { expr: expressionText(body) },
      node,
      idLike('elementwise', node),
    );
    rewriter.replaceNode(node, [by]);
  }
  return rewriter.finish();
}

/** Whether a node works element by element in f32, every step. */
const isMap = (node: Node, uses: Uses): boolean =>
  ['unary', 'binary', 'elementwise'].includes(node.op) &&
  node.results[0]!.type.dtype === 'f32' &&
  !uses.isConstant(node.results[0]!.id);

/** The one node that will take this one into its body. */
function absorber(node: Node, uses: Uses): Node | undefined {
  const result = node.results[0]!;
  const user = uses.singleUser(result.id);
  // A smaller value that is stretched would be computed once per element it is stretched to.
  return user && isMap(user, uses) && sameType(user.results[0]!.type, result.type) ? user : undefined;
}

const absorbed = (id: ValueId, into: Node, uses: Uses): Node | undefined => {
  const maker = uses.producer(id);
  return maker && isMap(maker, uses) && absorber(maker, uses) === into ? maker : undefined;
};

/** The body of a node with everything it absorbs; operands that it reads are appended. */
function bodyOf(node: Node, uses: Uses, operands: ValueId[]): Expression {
  const args = node.inputs.map((id): Expression => {
    const maker = absorbed(id, node, uses);
    if (maker) return bodyOf(maker, uses, operands);
    const value = uses.constantValue(id);
    if (value !== undefined) return { kind: 'number', value };
    if (!operands.includes(id)) operands.push(id);
    return { kind: 'operand', index: operands.indexOf(id) };
  });
  const unary = matches(node, 'unary');
  if (unary) return { kind: 'call', fn: unary.attrs.fn, args };
  const binary = matches(node, 'binary');
  if (binary) return { kind: 'call', fn: binary.attrs.fn as BinaryName, args };
  return substituted(parseExpression(matches(node, 'elementwise')!.attrs.expr)!, args);
}

/** An expression with its operands replaced by bodies. */
function substituted(e: Expression, args: readonly Expression[]): Expression {
  if (e.kind === 'operand') return args[e.index]!;
  return e.kind === 'call' ? { ...e, args: e.args.map((arg) => substituted(arg, args)) } : e;
}
