// Stores floats as bf16: weights as steps read them, states, and values of a step; every op still computes in f32 or wider.
// It rounds, so it is no rewrite like the others: it runs once, after all of them, for a plan of that precision.

import type { Graph, Node, ValueId } from '../ir/graph.ts';
import { type Trail, Uses } from '../ir/index.ts';
import { chain, isPrepared, retypeFloats, type Storage, views, weightsBehind } from './retype-floats.ts';

/** Results that stay f32: scores are few, and choices hang on them; a cast says itself what it gives. */
const exempt: readonly string[] = [
  'topk',
  'score_topk',
  'gather_dot',
  'grid_topk',
  'rescore_topk',
  'sum_grid_topk',
  'cast',
  'constant',
];

/**
 * The graph with bf16 in place of f32 wherever a step stores floats. The caller's inputs and outputs, the residual
 * stream, scores and what a topk compares stay f32, and so does all that prepare computes with: casts stand where the two meet. For graphs after all passes.
 */
export function storeNarrow(graph: Graph, trail?: Trail): Graph {
  const uses = new Uses(graph);
  const isNarrow = narrowValues(graph, uses);
  const storage: Storage = {
    isNarrow,
    taken: (node, id) => {
      if (uses.producer(id)?.op === 'constant') return undefined;
      if (node.stage === 'step') return isPrepared(uses, id) ? 'bf16' : undefined;
      return isNarrow(node.results[0]!.id) ? undefined : 'f32';
    },
  };
  return retypeFloats(graph, storage, trail);
}

/** Whether a value is stored as bf16. */
function narrowValues(graph: Graph, uses: Uses): (id: ValueId) => boolean {
  const compared = new Set<ValueId>();
  const compare = (value: ValueId): void => {
    for (const id of chain(uses, value)) compared.add(id);
    const softmax = uses.made(chain(uses, value).at(-1), 'softmax');
    if (softmax) compare(softmax.inputs[0]!); // it keeps the order of what it is computed from
  };
  for (const { op, inputs } of graph.nodes) if (op === 'topk') compare(inputs[0]!);
  // Weights that steps read, be it through views, are narrow from the file on.
  const read = graph.nodes.flatMap(({ stage, inputs }) => (stage === 'step' ? inputs : []));
  const kept = weightsBehind(
    uses,
    read.filter((id) => isPrepared(uses, id)),
  );
  const decide = (id: ValueId): boolean => {
    const leaf = uses.leaf(id);
    const node = uses.producer(id);
    if (uses.type(id).dtype !== 'f32' || leaf?.kind === 'input') return false;
    if (isPrepared(uses, id)) return kept.has(id);
    if (node === undefined) return true; // a state
    if (views.includes(node.op)) return decide(node.inputs[0]!) || readsPrepared(node);
    if (isSum(node, id) && uses.users(id).some((user) => user.results.some((result) => isSum(user, result.id))))
      return false;
    return !exempt.includes(node.op) && !compared.has(id) && !(uses.isOutput(id) && uses.users(id).length === 0);
  };
  const readsPrepared = ({ inputs: [x] }: Node): boolean =>
    isPrepared(uses, x!) && uses.producer(x!)?.op !== 'constant';
  return decide;
}

/** Whether a value is a sum of two: many in a row are the residual stream, in which roundings would add up. */
const isSum = (node: Node, id: ValueId): boolean =>
  (node.op === 'add_norm' && id === node.results[0]!.id) ||
  (node.op === 'binary' && node.attrs.fn === 'add') ||
  (node.op === 'elementwise' && /^add\(/.test(node.attrs.expr as string));
