// Floats of a graph in another element type: what passes that store narrow have in common. They differ in which values.

import type { Graph, Node, Type, ValueId } from '../ir/graph.ts';
import { bareEdit, makeNode, ordered, type Trail, Uses } from '../ir/index.ts';
import type { dtypes } from '../support/dtype.ts';
import { deepFreeze } from '../support/freeze.ts';

/** Which f32 values become bf16, and what nodes take. */
export interface Storage {
  isNarrow(id: ValueId): boolean;
  /** Element type that a node takes an f32 operand with; undefined: with the one it is stored with. */
  taken(node: Node, id: ValueId, operand: number): 'f32' | 'bf16' | undefined;
}

/** The graph with values stored so; casts stand where types meet, and outputs keep theirs. */
export function retypeFloats(graph: Graph, { isNarrow, taken }: Storage, trail: Trail | undefined): Graph {
  const uses = new Uses(graph);
  const typeOf = (id: ValueId): Type => {
    const type = uses.type(id);
    return isNarrow(id) ? { dtype: 'bf16', shape: type.shape } : type;
  };
  const casts = new Map<string, Node>();
  const leaves = [...graph.inputs, ...graph.weights, ...graph.states].map((leaf) => leaf.id);
  const ids = new Set(leaves);
  for (const node of graph.nodes) for (const { id } of node.results) ids.add(id);

  /** The value with this element type, by a cast where it is stored with another. */
  const as = (id: ValueId, dtype: (typeof dtypes)[number]): ValueId => {
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

  const operandOf = (node: Node, id: ValueId, i: number): ValueId => {
    const dtype = uses.type(id).dtype === 'f32' ? taken(node, id, i) : undefined;
    return dtype === undefined ? id : as(id, dtype);
  };
  const nodes = graph.nodes.map((node) => ({
    ...node,
    inputs: node.inputs.map((id, i) => operandOf(node, id, i)),
    results: node.results.map(({ id }) => ({ id, type: typeOf(id) })),
  }));
  const outputs = graph.outputs.map(({ name, value }) => ({
    name,
    value: uses.type(value).dtype === 'f32' ? as(value, 'f32') : value,
  }));
  const result = deepFreeze({
    ...graph,
    weights: graph.weights.map((weight) => ({ ...weight, type: typeOf(weight.id) })),
    states: graph.states.map((state) => ({ ...state, type: typeOf(state.id) })),
    nodes: ordered([...nodes, ...casts.values()], leaves),
    outputs,
  });
  trail?.follow(graph, result, bareEdit);
  return result;
}

/** Ops whose results are the elements of their operand, stored as it is. */
export const views: readonly string[] = ['reshape', 'transpose', 'slice'];

/** A value and what it is a view of, and so on. */
export function chain(uses: Uses, id: ValueId): ValueId[] {
  const node = uses.producer(id);
  return node !== undefined && views.includes(node.op) ? [id, ...chain(uses, node.inputs[0]!)] : [id];
}

/** Weights among these values, and those that these are views of; with every view between. */
export function weightsBehind(uses: Uses, ids: Iterable<ValueId>): ReadonlySet<ValueId> {
  const found = new Set<ValueId>();
  for (const id of ids) {
    const through = chain(uses, id);
    if (uses.leaf(through.at(-1)!)?.kind === 'weight') for (const one of through) found.add(one);
  }
  return found;
}

/** Whether weights alone decide a value. */
export const isPrepared = (uses: Uses, id: ValueId): boolean =>
  uses.leaf(id)?.kind === 'weight' || uses.producer(id)?.stage === 'prepare';
