// norm(x + y) → add_norm, which gives the sum as well: the residual stream is read and written once.
// Needs nothing. After it every such pair is one node; a norm with a bias stays, add_norm has none.
// Before fuseElementwise, which would take the addition for itself.

import type { Graph, Node } from '../ir/graph.ts';
import { inferTypes, isProblem, matches } from '../ir/index.ts';
import type { Trail } from '../ir/trail.ts';
import { type Here, idLike, sweep } from './sweep.ts';

export const fuseAddNorm = (graph: Graph, trail?: Trail): Graph => sweep(graph, [addNorm], trail);

function addNorm(node: Node, { uses, rewriter }: Here): boolean {
  const norm = matches(node, 'norm');
  const sum = norm && uses.made(norm.inputs[0], 'binary', { fn: 'add' });
  if (!norm || !sum || norm.inputs.length !== 2 || uses.isConstant(norm.result)) return false;
  if (!uses.isConstant(norm.inputs[1]!)) return false;
  // The first norm of a sum takes it; its place is that of the sum, so that all who read the sum come after.
  const norms = uses.users(sum.result).filter((user) => user.op === 'norm' && user.inputs[0] === sum.result);
  if (norms[0] !== node) return false;
  const operands = [...sum.inputs, norm.inputs[1]!];
  const attrs = { type: norm.attrs.type, eps: norm.attrs.eps };
  if (
    isProblem(
      inferTypes(
        'add_norm',
        operands.map((id) => uses.type(id)),
        attrs,
      ),
    )
  )
    return false;
  const results = rewriter.add('add_norm', operands, attrs, node, idLike('add_norm', node));
  rewriter.replaceNode(sum.node, [results[0]!]);
  rewriter.replaceNode(node, [results[1]!]);
  return true;
}
