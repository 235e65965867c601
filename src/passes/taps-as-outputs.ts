// Verification: surviving taps become outputs, so that a compiled model can be compared with a reference inside.

import type { Graph } from '../ir/graph.ts';

/** The graph with an output for every tap that can be one: T, where it has T, must be the first axis. */
export function tapsAsOutputs(graph: Graph): Graph {
  const shapes = new Map(
    [...graph.inputs, ...graph.weights, ...graph.states, ...graph.nodes.flatMap((n) => n.results)].map(
      (v) => [v.id, v.type.shape] as const,
    ),
  );
  const taken = new Set(graph.outputs.map((o) => o.name));
  const added = graph.taps.filter(
    (t) => !taken.has(t.name) && (shapes.get(t.value) ?? []).every((d, i) => i === 0 || typeof d === 'number'),
  );
  return { ...graph, outputs: [...graph.outputs, ...added] };
}
