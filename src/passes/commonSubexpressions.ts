// Computes every value once: of nodes with one op, attributes and operands the first stays and stands for all.
// Needs nothing. After it equal computations have equal ids, which rules compare. Nodes that update a state are not pure and stay.
// First, because models say the same view or division in several places; again after fusion, whose new views repeat.

import type { Graph, Node } from '../ir/graph.ts';
import { Rewriter } from '../ir/index.ts';
import type { Trail } from '../ir/trail.ts';

export function commonSubexpressions(graph: Graph, trail?: Trail): Graph {
  const rewriter = new Rewriter(graph, trail);
  const states = new Set(graph.states.map((state) => state.id));
  const first = new Map<string, Node>();
  for (const node of graph.nodes) {
    if (node.inputs.some((id) => states.has(id))) continue;
    const attrs = Object.entries(node.attrs).sort(([a], [b]) => (a < b ? -1 : 1));
    // Operands as replaced so far: equal chains fall together in one walk.
    const key = JSON.stringify([
      node.op,
      attrs.map(([name, v]) => [name, Object.is(v, -0) ? '-0' : v]),
      node.inputs.map((id) => rewriter.current(id)),
    ]);
    const same = first.get(key);
    if (same === undefined) first.set(key, node);
    else
      rewriter.replaceNode(
        node,
        same.results.map((result) => result.id),
      );
  }
  return rewriter.finish();
}
