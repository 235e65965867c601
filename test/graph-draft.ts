// Builds graphs for tests node by node, through the same makeNode as everything else.

import type { Input, Named, Node, State, SymbolDim, Weight } from '../src/ir/index.ts';
import { type AttrsOf, type Dim, type Graph, type Kind, makeNode, type Type, verify } from '../src/ir/index.ts';
import { deepFreeze } from '../src/support/freeze.ts';

/** A value of a draft. */
export interface Value {
  readonly id: string;
  readonly type: Type;
}

export const f32 = (...shape: readonly Dim[]): Type => ({ dtype: 'f32', shape });
export const i32 = (...shape: readonly Dim[]): Type => ({ dtype: 'i32', shape });
export const i64 = (...shape: readonly Dim[]): Type => ({ dtype: 'i64', shape });

/** A graph being built; T is a step symbol of at most 64, S a session symbol of at most 8. */
export class GraphDraft {
  readonly name: string;
  readonly symbols: readonly SymbolDim[] = [
    { name: 'T', bound: 64, scope: 'step' },
    { name: 'S', bound: 8, scope: 'session' },
  ];
  readonly inputs: Input[] = [];
  readonly weights: Weight[] = [];
  readonly states: State[] = [];
  readonly nodes: Node[] = [];
  readonly outputs: Named[] = [];
  readonly taps: Named[] = [];

  constructor(name: string) {
    this.name = name;
  }

  input(id: string, type: Type, below?: Dim): Value {
    this.inputs.push({ kind: 'input', id, type, below, loc: undefined });
    return { id, type };
  }

  /** A weight; its name in the checkpoint is its id. */
  weight(id: string, type: Type, options: Partial<Pick<Weight, 'below' | 'optional' | 'placement'>> = {}): Value {
    const { below, optional = false, placement = 'memory' } = options;
    this.weights.push({ kind: 'weight', id, name: id, type, optional, below, placement, loc: undefined });
    return { id, type };
  }

  state(id: string, type: Type): Value {
    this.states.push({ kind: 'state', id, type, loc: undefined });
    return { id, type };
  }

  /** Adds a node; its results as values. */
  all<K extends Kind>(kind: K, inputs: readonly Value[], attrs: AttrsOf<K>): Value[] {
    const node = makeNode(kind, inputs, attrs, `v${this.nodes.length}`);
    this.nodes.push(node);
    return [...node.results];
  }

  /** Adds a node; its first result. */
  node<K extends Kind>(kind: K, inputs: readonly Value[], attrs: AttrsOf<K>): Value {
    return this.all(kind, inputs, attrs)[0]!;
  }

  output(name: string, value: Value): this {
    this.outputs.push({ name, value: value.id });
    return this;
  }

  tap(name: string, value: Value): this {
    this.taps.push({ name, value: value.id });
    return this;
  }

  /** The verified, frozen graph. Symbols that nothing uses are left out. */
  build(): Graph {
    const used = new Set(
      [...this.inputs, ...this.weights, ...this.states]
        .flatMap((leaf) => leaf.type.shape)
        .filter((d) => typeof d === 'string'),
    );
    const { name, inputs, weights, states, nodes, outputs, taps } = this;
    const symbols = this.symbols.filter((symbol) => used.has(symbol.name));
    return verify(deepFreeze({ name, symbols, inputs, weights, states, nodes, outputs, taps, meta: {} }));
  }
}
