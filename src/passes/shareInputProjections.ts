// Linears of one input become one linear of joined weights and a slice each: x is read once, and one larger product fills all cores.
// Needs nothing. After it no two linears by weights have the same input.
// After the folds, which may take a linear's weights for their own; the joined weight is made when weights load.

import type { Graph, Node, ValueId } from '../ir/graph.ts';
import { matches, Rewriter } from '../ir/index.ts';
import { parseEquation } from '../ir/labels.ts';
import { isProblem } from '../ir/op.ts';
import type { Trail } from '../ir/trail.ts';

export function shareInputProjections(graph: Graph, trail?: Trail): Graph {
  const rewriter = new Rewriter(graph, trail);
  const groups = new Map<ValueId, Linear[]>();
  for (const node of graph.nodes) {
    const linear = linearOf(node, rewriter);
    if (linear) groups.set(linear.x, [...(groups.get(linear.x) ?? []), linear]);
  }
  for (const group of groups.values()) if (group.length > 1) join(group, rewriter);
  return rewriter.finish();
}

/** y[…,n] = Σ_k x[…,k]·w[n,k]. */
interface Linear {
  readonly node: Node;
  readonly x: ValueId;
  readonly weight: ValueId;
}

function linearOf(node: Node, { uses }: Rewriter): Linear | undefined {
  const product = matches(node, 'einsum');
  if (!product || uses.isConstant(product.result)) return undefined;
  const equation = parseEquation('einsum', product.attrs.equation);
  if (isProblem(equation)) return undefined;
  const [x, weight] = product.inputs as [ValueId, ValueId];
  const { a, b, out } = equation;
  const fits = b.length === 2 && a.at(-1) === b[1] && out === a.slice(0, -1) + b[0] && !a.includes(b[0]!);
  return fits && uses.isConstant(weight) ? { node, x, weight } : undefined;
}

function join(group: readonly Linear[], rewriter: Rewriter): void {
  const { node, x } = group[0]!;
  const { equation } = matches(node, 'einsum')!.attrs;
  const weights = rewriter.addOne(
    'concat',
    group.map((linear) => linear.weight),
    { axis: 0 },
    node,
    'weights',
  );
  const joined = rewriter.addOne('einsum', [x, weights], { equation }, node, 'projections');
  const axis = rewriter.type(joined).shape.length - 1;
  let start = 0;
  for (const linear of group) {
    const end = start + (rewriter.type(linear.weight).shape[0] as number);
    const part = rewriter.addOne('slice', [joined], { axis, start, end }, linear.node);
    rewriter.replaceNode(linear.node, [part]);
    start = end;
  }
}
