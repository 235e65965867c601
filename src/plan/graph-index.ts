// Look-ups over a graph that planning needs: leaves, producers, users, known scalars, and a node's text.

import { type Graph, type Leaf, type Node, type Type, typeText, type ValueId } from '../ir/graph.ts';
import type { Space } from './types.ts';

export interface IndexedLeaf {
  readonly space: Extract<Space, 'input' | 'weight' | 'state'>;
  readonly index: number;
  readonly type: Type;
}

export class GraphIndex {
  readonly graph: Graph;
  readonly #leaves = new Map<ValueId, IndexedLeaf>();
  readonly #producers = new Map<ValueId, Node>();
  readonly #users = new Map<ValueId, Node[]>();

  constructor(graph: Graph) {
    this.graph = graph;
    const add = (leaves: readonly Leaf[]) => {
      for (const [index, leaf] of leaves.entries()) {
        this.#leaves.set(leaf.id, { space: leaf.kind, index, type: leaf.type });
      }
    };
    add(graph.inputs);
    add(graph.weights);
    add(graph.states);
    for (const node of graph.nodes) {
      for (const result of node.results) this.#producers.set(result.id, node);
      for (const id of new Set(node.inputs)) this.#users.set(id, [...(this.#users.get(id) ?? []), node]);
    }
  }

  leaf(id: ValueId): IndexedLeaf | undefined {
    return this.#leaves.get(id);
  }

  /** Where a value is computed; weights count as prepare, other leaves as step. */
  stageOf(id: ValueId): 'prepare' | 'step' {
    const leaf = this.#leaves.get(id);
    if (leaf !== undefined) return leaf.space === 'weight' ? 'prepare' : 'step';
    return this.#producers.get(id)?.stage ?? 'step';
  }

  producer(id: ValueId): Node | undefined {
    return this.#producers.get(id);
  }

  users(id: ValueId): readonly Node[] {
    return this.#users.get(id) ?? [];
  }

  /** The scalar that a `constant` node states. */
  constant(id: ValueId): { readonly value: number; readonly type: Type } | undefined {
    const node = this.#producers.get(id);
    if (node?.op !== 'constant') return undefined;
    return { value: Number(node.attrs.value), type: node.results[0]!.type };
  }

  /** `%q = einsum @x, @w : f32[T,192]`, for comments in emitted code. */
  text(node: Node): string {
    const sigil = (id: ValueId) =>
      ({ weight: '@', state: '$', input: '%' })[this.#leaves.get(id)?.space ?? 'input'] + id;
    const results = node.results.map((r) => `%${r.id}`).join(', ');
    const types = node.results.map((r) => typeText(r.type)).join(', ');
    return `${results} = ${node.op} ${node.inputs.map(sigil).join(', ')} : ${types}`;
  }
}
