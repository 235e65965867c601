// Takes out nodes that no output depends on. Leaves stay declared: a checkpoint is checked against all of them.
// Needs nothing. After it every node matters. First, so that no pass works on what nobody reads; last, because fusion leaves
// the nodes it swallowed to this rule (the rewriter already drops those that it orphans).

import type { Graph } from '../ir/graph.ts';
import { bareEdit, live, type Trail } from '../ir/index.ts';
import { deepFreeze } from '../support/freeze.ts';

export function deadCode(graph: Graph, trail?: Trail): Graph {
  const nodes = live(graph.nodes, graph.outputs);
  if (nodes.length === graph.nodes.length) return graph;
  const leaves = [...graph.inputs, ...graph.weights, ...graph.states].map((leaf) => leaf.id);
  const defined = new Set([...leaves, ...nodes.flatMap((node) => node.results.map((result) => result.id))]);
  const result = deepFreeze({ ...graph, nodes, taps: graph.taps.filter((tap) => defined.has(tap.value)) });
  trail?.follow(graph, result, bareEdit);
  return result;
}
