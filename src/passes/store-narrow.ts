// Stores floats as bf16: weights as steps read them, states, and values of a step; every op still computes in f32 or wider.
// It rounds, so it is no rewrite like the others: it runs once, after all of them, for a plan of that precision.

import type { Graph, Node, Type, ValueId } from '../ir/graph.ts';
import { makeNode, ordered, Uses } from '../ir/index.ts';
import type { DType } from '../support/dtype.ts';
import { deepFreeze } from '../support/freeze.ts';

/** Ops whose results are the elements of their operand, stored as it is. */
const views: readonly string[] = ['reshape', 'transpose', 'slice'];

/** Results that stay f32: scores are few, and choices hang on them; a cast says itself what it gives. */
const exempt: readonly string[] = ['topk', 'score_topk', 'gather_dot', 'grid_topk', 'rescore_topk', 'cast', 'constant'];

/**
 * The graph with bf16 in place of f32 wherever a step stores floats. The caller's inputs and outputs, the residual
 * stream, scores and what a topk compares stay f32, and so does all that prepare computes with: casts stand where the two meet. For graphs after all passes.
 */
export function storeNarrow(graph: Graph): Graph {
  const uses = new Uses(graph);
  const isNarrow = narrowValues(graph, uses);
  const typeOf = (id: ValueId): Type => stored(uses.type(id), isNarrow(id));
  const casts = new Map<string, Node>();
  const ids = new Set([...graph.inputs, ...graph.weights, ...graph.states].map((leaf) => leaf.id));
  for (const node of graph.nodes) for (const { id } of node.results) ids.add(id);

  /** The value with this element type, by a cast where it is stored with another. */
  const as = (id: ValueId, dtype: DType): ValueId => {
    const type = typeOf(id);
    if (type.dtype === dtype) return id;
    const producer = uses.producer(id);
    const stage = isPrepared(uses, id) ? 'prepare' : 'step';
    const key = `${id}.${dtype}`;
    let fresh = key;
    for (let i = 1; ids.has(fresh); i++) fresh = `${key}_${i}`;
    const cast = casts.get(key) ?? makeNode('cast', [{ id, type }], { dtype }, fresh, { loc: producer?.loc, stage });
    casts.set(key, cast);
    return cast.results[0]!.id;
  };

  const operandOf = (node: Node, id: ValueId): ValueId => {
    if (uses.type(id).dtype !== 'f32' || uses.producer(id)?.op === 'constant') return id;
    if (node.stage === 'step') return isPrepared(uses, id) ? as(id, 'bf16') : id;
    return isNarrow(node.results[0]!.id) ? id : as(id, 'f32');
  };
  const nodes = graph.nodes.map((node) => ({
    ...node,
    inputs: node.inputs.map((id) => operandOf(node, id)),
    results: node.results.map(({ id }) => ({ id, type: typeOf(id) })),
  }));
  const outputs = graph.outputs.map(({ name, value }) => ({ name, value: as(value, uses.type(value).dtype) }));
  const leaves = [...graph.inputs, ...graph.weights, ...graph.states].map((leaf) => leaf.id);
  return deepFreeze({
    ...graph,
    weights: graph.weights.map((weight) => ({ ...weight, type: typeOf(weight.id) })),
    states: graph.states.map((state) => ({ ...state, type: typeOf(state.id) })),
    nodes: ordered([...nodes, ...casts.values()], leaves),
    outputs,
  });
}

const stored = (type: Type, narrow: boolean): Type => (narrow ? { dtype: 'bf16', shape: type.shape } : type);

const isPrepared = (uses: Uses, id: ValueId): boolean =>
  uses.leaf(id)?.kind === 'weight' || uses.producer(id)?.stage === 'prepare';

/** Whether a value is stored as bf16. */
function narrowValues(graph: Graph, uses: Uses): (id: ValueId) => boolean {
  const compared = new Set<ValueId>();
  for (const { op, inputs } of graph.nodes)
    if (op === 'topk') for (const id of chain(uses, inputs[0]!)) compared.add(id);
  // Weights that steps read, be it through views, are narrow from the file on.
  const kept = new Set<ValueId>();
  for (const { stage, inputs } of graph.nodes) {
    for (const id of stage === 'step' ? inputs : []) {
      const through = chain(uses, id);
      if (isPrepared(uses, id) && uses.leaf(through.at(-1)!)?.kind === 'weight')
        for (const one of through) kept.add(one);
    }
  }
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

/** A value and what it is a view of, and so on. */
function chain(uses: Uses, id: ValueId): ValueId[] {
  const node = uses.producer(id);
  return node !== undefined && views.includes(node.op) ? [id, ...chain(uses, node.inputs[0]!)] : [id];
}
