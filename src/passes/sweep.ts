// Applying rules all over a graph until none has anything left to do.

import type { Graph, Node, ValueId } from '../ir/graph.ts';
import { Rewriter, type Trail, type Uses } from '../ir/index.ts';
import { invariant } from '../support/errors.ts';
import type { Site } from './arrange.ts';

/** What a rule sees: the graph before the sweep, and the site of the node it looks at. */
export interface Here extends Site {
  readonly uses: Uses;
}

/**
 * Looks at one node; when it fits, replaces values by equal ones computed from values further up, and says so. Because both hold, the
 * matches of one sweep cannot disturb each other. A rule that says no has added nothing.
 */
export type Rule = (node: Node, here: Here) => boolean;

/** The graph after the rules, tried in order at every node, apply nowhere any more. Nodes are visited from the inputs or the outputs. */
export function sweep(
  graph: Graph,
  rules: readonly Rule[],
  trail: Trail | undefined,
  from: 'inputs' | 'outputs' = 'inputs',
): Graph {
  // Every sweep leaves fewer or simpler nodes; rules that undo each other would not end.
  for (let round = 0; round < 64; round++) {
    const rewriter = new Rewriter(graph, trail);
    const nodes = from === 'inputs' ? graph.nodes : graph.nodes.toReversed();
    for (const node of nodes) {
      const here: Here = { rewriter, uses: rewriter.uses, like: node };
      for (const rule of rules) if (rule(node, here)) break;
    }
    const next = rewriter.finish();
    if (next === graph) return graph;
    graph = next;
  }
  invariant(false, 'rules of a pass undo each other');
}

/** An id for a node of another kind that stands in for this one: `topk_22` → `score_topk_22`. */
export const idLike = (kind: string, node: Node): string => `${kind}${/_\d+/.exec(node.results[0]!.id)?.[0] ?? ''}`;

/** What a value is a view of, through reshapes: the same elements in the same order. */
export function throughReshapes(uses: Uses, value: ValueId): ValueId {
  const view = uses.made(value, 'reshape');
  return view ? throughReshapes(uses, view.inputs[0]!) : value;
}
