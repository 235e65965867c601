// Marks everything that depends on weights and constants alone as `prepare`: it runs once, when weights load.
// Needs nothing. After it the step part holds no weight-only node. Behind the fusions, so that it also catches what they made of
// weights: folded keys, arranged cores, joined projections.

import type { Graph } from '../ir/graph.ts';
import { Rewriter } from '../ir/index.ts';
import type { Trail } from '../ir/trail.ts';

export function hoistWeights(graph: Graph, trail?: Trail): Graph {
  const rewriter = new Rewriter(graph, trail);
  for (const node of graph.nodes) {
    if (node.results.every((result) => rewriter.uses.isConstant(result.id))) rewriter.setStage(node, 'prepare');
  }
  return rewriter.finish();
}
