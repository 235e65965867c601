// Random graphs with data, for properties: chains of element-wise ops, products, norms, selections and gathers over small random
// shapes, weight-only parts, and whole retrievals in the words of the DSL with variations.

import fc from 'fast-check';
import type { AttrsOf } from '../src/ir/index.ts';
import { type Graph, isProblem, type Kind, ops, print } from '../src/ir/index.ts';
import type { Tensor } from '../src/support/tensor.ts';
import { f32, GraphDraft, i32, type Value } from './graph-draft.ts';
import { Random } from './random.ts';
import { retrieval } from './retrieval-draft.ts';

/** A random graph, and data for it. Printed as its text. */
export interface RandomGraph {
  readonly graph: Graph;
  /** By name in the checkpoint. */
  readonly weights: Readonly<Record<string, Tensor>>;
  /** Inputs of consecutive steps. */
  readonly steps: readonly Readonly<Record<string, Tensor>>[];
  /** Sizes of session symbols. */
  readonly symbols: Readonly<Record<string, number>>;
}

/** Decisions of one choice: numbers that pick from lists; 0 picks the first, so graphs shrink towards simple ones. */
export class Choice {
  readonly #numbers: readonly number[];
  #next = 0;

  constructor(numbers: readonly number[]) {
    this.#numbers = numbers;
  }

  number(below: number): number {
    const taken = this.#numbers[this.#next++ % this.#numbers.length] ?? 0;
    return Math.floor(taken / (1 + (this.#next >> 2))) % below;
  }

  of<T>(list: readonly T[]): T {
    return list[this.number(list.length)]!;
  }

  chance(): boolean {
    return this.number(2) === 1;
  }
}

/** What a growing graph holds: values by type, and how large they may get (the degree as a polynomial of normals). */
class Growing {
  readonly draft = new GraphDraft('random');
  readonly values: Value[] = [];
  readonly #degrees = new Map<string, number>();
  #weights = 0;

  weight(...shape: readonly number[]): Value {
    return this.add(this.draft.weight(`w${this.#weights++}`, f32(...shape)), 1);
  }

  add(value: Value, degree: number): Value {
    this.values.push(value);
    this.#degrees.set(value.id, degree);
    return value;
  }

  degree(...values: readonly Value[]): number {
    return values.reduce((sum, value) => sum + (this.#degrees.get(value.id) ?? 1), 0);
  }

  /** Adds a node when the op accepts the operands and results stay small; whether it did. */
  node<K extends Kind>(kind: K, inputs: readonly Value[], attrs: AttrsOf<K>, degree: number): Value[] {
    const types = ops[kind].infer(
      inputs.map((input) => input.type),
      attrs as never,
    );
    const elements = (shape: readonly (number | string)[]) =>
      shape.reduce<number>((n, d) => n * (d === 'T' ? 1 : Number(d)), 1);
    if (isProblem(types) || degree > 5 || types.some((type) => elements(type.shape) > 600)) return [];
    return this.draft.all(kind, inputs, attrs).map((value) => this.add(value, degree));
  }

  /** Values of an element type, late ones first. */
  of(dtype: 'f32' | 'i32', least = 0): Value[] {
    return this.values.filter(({ type }) => type.dtype === dtype && type.shape.length >= least).reverse();
  }
}

type Step = (g: Growing, choice: Choice) => void;

const letters = 'abcdefg';

const steps: readonly Step[] = [
  function applyFunction(g, choice) {
    const x = choice.of(g.of('f32'));
    const fn = choice.of(['neg', 'relu', 'silu', 'gelu', 'tanh', 'sigmoid', 'abs'] as const);
    g.node('unary', [x], { fn }, g.degree(x));
  },
  function combine(g, choice) {
    const a = choice.of(g.of('f32'));
    const fits = g.of('f32').filter((b) => !isProblem(ops.binary.infer([a.type, b.type], { fn: 'add' })));
    const b = choice.of(fits);
    const fn = choice.of(['add', 'mul', 'sub', 'max', 'min'] as const);
    const operands = choice.chance() ? [b, a] : [a, b];
    g.node('binary', operands, { fn }, fn === 'mul' ? g.degree(a, b) : Math.max(g.degree(a), g.degree(b)));
  },
  function scale(g, choice) {
    const x = choice.of(g.of('f32'));
    const [constant] = g.node('constant', [], { value: choice.of([0.5, 0, 1, -2]), dtype: 'f32' }, 0);
    g.node('binary', [x, constant!], { fn: choice.of(['mul', 'add'] as const) }, g.degree(x));
  },
  function applyLinear(g, choice) {
    const x = choice.of(g.of('f32', 1));
    const lead = letters.slice(0, x.type.shape.length - 1);
    const k = x.type.shape.at(-1)!;
    if (typeof k === 'string') return;
    const known = g
      .of('f32')
      .filter(({ type }) => type.shape.length === 2 && type.shape[1] === k && type.shape[0] !== 'T');
    const w = choice.chance() && known.length > 0 ? choice.of(known) : g.weight(1 + choice.number(7), k);
    g.node('einsum', [x, w], { equation: `${lead}k,nk->${lead}n` }, g.degree(x, w));
  },
  function normalise(g, choice) {
    const x = choice.of(g.of('f32', 1));
    const D = x.type.shape.at(-1)!;
    if (typeof D === 'string') return;
    g.node('norm', [x, g.weight(D)], { type: choice.of(['rms', 'layer'] as const), eps: 1e-5 }, 1);
  },
  function split(g, choice) {
    const x = choice.of(g.of('f32', 2));
    const D = x.type.shape.at(-1)!;
    if (typeof D === 'string' || D < 2) return;
    const cut = 1 + choice.number(D - 1);
    const axis = x.type.shape.length - 1;
    const [left] = g.node('slice', [x], { axis, start: 0, end: cut }, g.degree(x));
    const [right] = g.node('slice', [x], { axis, start: cut, end: D }, g.degree(x));
    if (choice.chance() && left && right) g.node('concat', [right, left], { axis }, g.degree(x));
  },
  function reorder(g, choice) {
    const x = choice.of(g.values.filter(({ type }) => type.shape.length >= 2).reverse());
    if (x === undefined) return;
    const first = x.type.shape[0] === 'T' ? 1 : 0; // tokens stay in front
    const axes = x.type.shape.map((_, axis) => axis);
    g.node('transpose', [x], { perm: [...axes.slice(0, first), ...axes.slice(first).reverse()] }, g.degree(x));
  },
  function fold(g, choice) {
    const x = choice.of(g.values.filter(({ type }) => type.shape.length >= 3 || type.shape[0] !== 'T').reverse());
    if (x === undefined || x.type.shape.length < 2) return;
    const [a, b, ...rest] = x.type.shape.toReversed();
    if (typeof a === 'string' || typeof b === 'string') return;
    g.node('reshape', [x], { shape: [...rest.toReversed(), (a as number) * (b as number)] }, g.degree(x));
  },
  function reduceAxis(g, choice) {
    const x = choice.of(g.of('f32', 2));
    const axis =
      x.type.shape.length - 1 - choice.number(x.type.shape[0] === 'T' ? x.type.shape.length - 1 : x.type.shape.length);
    g.node('reduce', [x], { fn: choice.of(['sum', 'mean', 'max'] as const), axis }, g.degree(x));
  },
  function applySoftmax(g, choice) {
    const x = choice.of(g.of('f32', 2));
    if (x.type.shape.at(-1) !== 'T') g.node('softmax', [x], {}, 1);
  },
  function select(g, choice) {
    const x = choice.of(g.of('f32', 2));
    const n = x.type.shape.at(-1)!;
    if (typeof n === 'string') return;
    const [, index] = g.node('topk', [x], { k: 1 + choice.number(n) }, g.degree(x));
    if (!index || !choice.chance()) return;
    // Take along the selected axis from x, or from a product of the same size.
    const lead = letters.slice(0, x.type.shape.length - 1);
    g.node('gather', [x, index], { equation: `${lead}n,${lead}k->${lead}k` }, g.degree(x));
  },
  function look(g, choice) {
    const indices = g.of('i32', 1);
    if (indices.length === 0) return;
    const index = choice.of(indices);
    const [divisor] = g.node('constant', [], { value: 1 + choice.number(6), dtype: 'i32' }, 0);
    const rows = g.draft.nodes.at(-1)!.attrs.value as number;
    const [row] = g.node('binary', [index, divisor!], { fn: 'imod' }, 0);
    const labels = letters.slice(0, index.type.shape.length);
    const table = g.weight(rows, 1 + choice.number(5));
    if (row) g.node('gather', [table, row], { equation: `nz,${labels}->${labels}z` }, 1);
  },
  function pool(g, choice) {
    const x = choice.of(g.of('f32', 2).filter(({ type }) => type.shape[0] === 'T'));
    const groups = 1 + choice.number(4);
    const R = x.type.shape[1]!;
    if (typeof R === 'string') return;
    const group = g.draft.input(`group${g.draft.inputs.length}`, i32('T', R), groups);
    g.node('group_sum', [x, group], { groups }, g.degree(x));
  },
  function ofWeights(g, choice) {
    const [rows, columns] = [1 + choice.number(6), 1 + choice.number(6)];
    const w = g.weight(rows, columns);
    if (choice.chance()) g.node('norm', [w, g.weight(columns)], { type: 'rms', eps: 1e-5 }, 1);
    else g.node('unary', [w], { fn: 'tanh' }, 1);
  },
  function again(g, choice) {
    const node = choice.of(g.draft.nodes.filter((n) => n.op !== 'attention' && n.op !== 'causal_conv').reverse());
    if (node === undefined) return;
    const inputs = node.inputs.map((id) => g.values.find((value) => value.id === id));
    const operands = inputs.filter((value) => value !== undefined);
    if (operands.length === inputs.length)
      g.node(node.op as Kind, operands, node.attrs as never, g.degree(...operands.slice(0, 1)));
  },
  function retrieve(g, choice) {
    const x = choice.of(g.of('f32', 2).filter(({ type }) => type.shape[0] === 'T' && type.shape.length === 2));
    g.add(retrieval(g.draft, x, choice), 1);
  },
  function convolve(g, choice) {
    const x = choice.of(g.of('f32', 2).filter(({ type }) => type.shape[0] === 'T' && type.shape.length === 2));
    const D = x.type.shape[1] as number;
    const K = 1 + choice.number(4);
    const window = g.draft.state(`window${g.draft.states.length}`, f32('S', K - 1, D));
    g.node('causal_conv', [x, g.weight(D, K), ...placesOf(g.draft), window], {}, g.degree(x));
  },
];

/** The inputs positions and sequence, made when first asked for. */
function placesOf(draft: GraphDraft): [Value, Value] {
  const find = (id: string) => draft.inputs.find((input) => input.id === id);
  const positions = find('positions') ?? draft.input('positions', i32('T'), 256);
  const sequence = find('sequence') ?? draft.input('sequence', i32('T'), 'S');
  return [positions, sequence];
}

/** Numbers of tokens of the steps of every random graph. */
const counts = [3, 1];

function grow(
  width: number,
  choices: readonly (readonly number[])[],
  seed: number,
  allowed: readonly Step[],
): RandomGraph {
  const g = new Growing();
  g.add(g.draft.input('x', f32('T', width)), 1);
  for (const numbers of choices) {
    const choice = new Choice(numbers);
    choice.of(allowed)(g, choice);
  }
  const { draft } = g;
  const tokens = g.values.filter(({ type }) => type.shape[0] === 'T');
  const last = tokens.at(-1)!;
  const shown = new Choice([seed, seed >> 3, seed >> 6]);
  draft.output('y', last);
  if (tokens.length > 2 && shown.chance()) draft.output('z', shown.of(tokens));
  for (const [i, value] of tokens.entries()) if (i % 3 === 1) draft.tap(`tap${i}`, value);
  const graph = draft.build();
  return { graph, ...dataFor(graph, seed), ...{ [fc.toStringMethod]: () => print(graph) } };
}

/** Weights and inputs for a graph: normals for floats, uniform integers below the stated bound, two sequences in order. */
export function dataFor(graph: Graph, seed: number): Omit<RandomGraph, 'graph'> {
  const random = new Random(seed, graph.name);
  const size = (T: number) => (dim: number | string) => (dim === 'T' ? T : dim === 'S' ? 2 : (dim as number));
  const weights = graph.weights.map(({ name, type, below }) => {
    const shape = type.shape.map(size(0));
    const order = type.dtype === 'i32' && below !== undefined && shape.length === 1 && shape[0] === below;
    return [
      name,
      order ? random.permutation(below) : type.dtype === 'f32' ? random.f32(shape) : random.i32(shape, below ?? 1),
    ];
  });
  let seen = 0;
  const inputs = counts.map((T) => {
    const from = seen;
    seen += T;
    return Object.fromEntries(
      graph.inputs.map(({ id, type, below }) => {
        const shape = type.shape.map(size(T));
        const data =
          type.dtype === 'f32' ? random.f32(shape) : random.i32(shape, typeof below === 'number' ? below : 1);
        if (id === 'positions') for (let t = 0; t < T; t++) data.data[t] = from + t;
        return [id, data];
      }),
    );
  });
  const symbols: Record<string, number> = graph.symbols.some(({ name }) => name === 'S') ? { S: 2 } : {};
  return { weights: Object.fromEntries(weights), steps: inputs, symbols };
}

/** Random graphs of up to `size` pieces; `only` names the pieces to choose from (see the functions in this file). */
export function arbitraryGraph(options: { size?: number; only?: readonly string[] } = {}): fc.Arbitrary<RandomGraph> {
  const { size = 12, only } = options;
  const allowed = only ? steps.filter((step) => only.includes(step.name)) : steps;
  if (only && allowed.length !== only.length) throw new RangeError(`unknown piece among ${only.join(', ')}`);
  const choice = fc.array(fc.nat(9999), { minLength: 5, maxLength: 5 });
  return fc
    .tuple(fc.integer({ min: 1, max: 9 }), fc.array(choice, { minLength: 1, maxLength: size }), fc.nat(2 ** 20))
    .map(([width, choices, seed]) => grow(width, choices, seed, allowed));
}
