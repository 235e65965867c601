// Looking at the structure of a graph: who makes a value, who uses it.

import { invariant } from '../support/errors.ts';
import { attrsOf } from './build-node.ts';
import type { Graph, Leaf, Node, Type, ValueId } from './graph.ts';
import type { AttrsOf, Kind } from './ops/index.ts';

/** A node seen as one of a kind, with its attributes typed. */
export interface Match<K extends Kind> {
  readonly node: Node;
  readonly attrs: AttrsOf<K>;
  readonly inputs: readonly ValueId[];
  /** Id of the first result. */
  readonly result: ValueId;
}

/** Maps from values to their makers and users, for one graph. */
export class Uses {
  readonly graph: Graph;
  readonly #producers = new Map<ValueId, Node>();
  readonly #leaves = new Map<ValueId, Leaf>();
  readonly #types = new Map<ValueId, Type>();
  readonly #users = new Map<ValueId, Node[]>();
  readonly #outputs: ReadonlySet<ValueId>;
  readonly #constants = new Map<ValueId, boolean>();

  constructor(graph: Graph) {
    this.graph = graph;
    for (const leaf of [...graph.inputs, ...graph.weights, ...graph.states]) {
      this.#leaves.set(leaf.id, leaf);
      this.#types.set(leaf.id, leaf.type);
    }
    for (const node of graph.nodes) {
      for (const { id, type } of node.results) {
        this.#producers.set(id, node);
        this.#types.set(id, type);
      }
      for (const id of new Set(node.inputs)) {
        const users = this.#users.get(id);
        if (users) users.push(node);
        else this.#users.set(id, [node]);
      }
    }
    this.#outputs = new Set(graph.outputs.map((output) => output.value));
  }

  /** The node that makes a value; undefined for leaves. */
  producer(value: ValueId): Node | undefined {
    return this.#producers.get(value);
  }

  leaf(value: ValueId): Leaf | undefined {
    return this.#leaves.get(value);
  }

  type(value: ValueId): Type {
    const type = this.#types.get(value);
    invariant(type, `graph ${this.graph.name} has no value ${value}`);
    return type;
  }

  /** A value as an operand of a node to make. */
  operand(value: ValueId): { id: ValueId; type: Type } {
    return { id: value, type: this.type(value) };
  }

  /** Nodes that read a value, each once, in graph order. */
  users(value: ValueId): readonly Node[] {
    return this.#users.get(value) ?? [];
  }

  isOutput(value: ValueId): boolean {
    return this.#outputs.has(value);
  }

  /** The one node that reads a value; undefined where there are several or it is an output. Taps do not count. */
  singleUser(value: ValueId): Node | undefined {
    const users = this.users(value);
    return users.length === 1 && !this.isOutput(value) ? users[0] : undefined;
  }

  /** Whether nothing reads a value and it is no output. Taps do not count. */
  isUnused(value: ValueId): boolean {
    return this.users(value).length === 0 && !this.isOutput(value);
  }

  /** The node that makes a value, when it is of a kind and its attributes are as given. */
  made<K extends Kind>(value: ValueId | undefined, kind: K, attrs: Partial<AttrsOf<K>> = {}): Match<K> | undefined {
    const node = value === undefined ? undefined : this.#producers.get(value);
    return node && matches(node, kind, attrs);
  }

  /** Whether a value depends on weights and constants alone. */
  isConstant(value: ValueId): boolean {
    let known = this.#constants.get(value);
    if (known === undefined) {
      const node = this.#producers.get(value);
      known = node ? node.inputs.every((id) => this.isConstant(id)) : this.#leaves.get(value)?.kind === 'weight';
      this.#constants.set(value, known);
    }
    return known;
  }

  /** Value of a `constant` node. */
  constantValue(value: ValueId): number | undefined {
    return this.made(value, 'constant')?.attrs.value;
  }
}

/** A node seen as one of a kind, when it is and its attributes are as given (compared as JSON). */
export function matches<K extends Kind>(node: Node, kind: K, attrs: Partial<AttrsOf<K>> = {}): Match<K> | undefined {
  if (node.op !== kind) return undefined;
  const own = attrsOf(node, kind);
  for (const [name, wanted] of Object.entries(attrs)) {
    if (JSON.stringify(node.attrs[name]) !== JSON.stringify(wanted)) return undefined;
  }
  return { node, attrs: own, inputs: node.inputs, result: node.results[0]!.id };
}
