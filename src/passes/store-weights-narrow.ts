// Stores large weights as bf16, for kernels of the CPU: steps read half the bytes, and what is computed stays f32. It rounds, so
// it is no rewrite like the others: it runs once, after all of them, for a plan of that precision.

import type { Graph, Node, ValueId } from '../ir/graph.ts';
import { type Trail, Uses } from '../ir/index.ts';
import { isPrepared, retypeFloats, type Storage, views, weightsBehind } from './retype-floats.ts';

/** Operands that kernels of the CPU take as bf16, by op: matrices of products, keys, and tables of values. */
const operands: Readonly<Record<string, readonly number[]>> = {
  einsum: [0, 1],
  expert_linear: [1],
  gather: [0],
  gather_dot: [1],
  gather_pool: [0],
  rescore_topk: [4, 5],
  score_topk: [1],
};

/**
 * The graph with bf16 in place of f32 for weights and prepared values that a step multiplies with or gathers from. All that it
 * computes, its states, and what prepare computes with stay f32: casts stand where the two meet. For graphs after all passes.
 */
export function storeWeightsNarrow(graph: Graph, trail?: Trail): Graph {
  const uses = new Uses(graph);
  const isWanted = (node: Node, id: ValueId, i: number): boolean =>
    node.stage === 'step' &&
    uses.type(id).dtype === 'f32' &&
    isPrepared(uses, id) &&
    uses.producer(id)?.op !== 'constant' &&
    (operands[node.op]?.includes(i) ?? false);
  const wanted = new Set(graph.nodes.flatMap((node) => node.inputs.filter((id, i) => isWanted(node, id, i))));
  // Weights that are wanted so, be it through views, are narrow from the file on.
  const narrow = new Set(weightsBehind(uses, wanted));
  // In a step, rows of a narrow table and views of what is narrow are the same elements.
  for (const { op, stage, inputs, results } of graph.nodes) {
    const [first] = inputs;
    if (first === undefined || stage !== 'step') continue;
    const same = op === 'gather' ? wanted.has(first) : views.includes(op) && narrow.has(first);
    if (same) for (const { id } of results) narrow.add(id);
  }
  const storage: Storage = {
    isNarrow: (id) => narrow.has(id),
    taken: (node, id, i) => {
      if (isWanted(node, id, i)) return 'bf16';
      return views.includes(node.op) && narrow.has(node.results[0]!.id) ? undefined : 'f32';
    },
  };
  return retypeFloats(graph, storage, trail);
}
