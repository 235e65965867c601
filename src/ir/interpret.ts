// Runs a graph with the ops' references: the oracle of every target and pass.

import { isFloat } from '../support/dtype.ts';
import { badGraph, misfit, opMisuse } from '../support/errors/ir.ts';
import { invariant } from '../support/errors.ts';
import { type Tensor, zeros } from '../support/tensor.ts';
import type { Graph, Named, Node, Type, ValueId } from './graph.ts';
import { isProblem, type Symbols, sizeOf, stateOperands } from './op.ts';
import { isKind, ops } from './ops/index.ts';

/** Named tensors, as a record or a map. */
export type Tensors = Readonly<Record<string, Tensor>> | ReadonlyMap<string, Tensor>;

/** Told of a node's results as they are stored; what it returns stands in for them. */
export type Settle = (node: Node, results: readonly Tensor[]) => readonly Tensor[];

export interface StepOptions {
  /** Return tapped values too. */
  readonly taps?: boolean;
  /** Lets another's choices count, to compare what follows from them. */
  readonly settle?: Settle | undefined;
}

/** What a step gives back: outputs by name, and taps by name where they were asked for. */
export interface StepResult {
  readonly outputs: Record<string, Tensor>;
  readonly taps: Record<string, Tensor>;
}

/**
 * A loaded graph: runs its prepare nodes once, keeps its states from step to step. Throws `tensor-misfit` for weights and inputs
 * that are missing or of another type than the graph states, and `index-out-of-range` where a reference does.
 */
export class Interpreter {
  readonly graph: Graph;
  readonly #symbols: Record<string, number> = {};
  readonly #states = new Map<ValueId, Tensor>();
  readonly #prepared = new Map<ValueId, Tensor>();
  readonly #steps: readonly Node[];
  readonly #lastUse: ReadonlyMap<ValueId, number>;
  readonly #widened: Widened = new WeakMap();

  /** `symbols` gives the sizes of session symbols (S); those left out take their bound. */
  constructor(graph: Graph, options: { weights?: Tensors; symbols?: Symbols } = {}) {
    this.graph = graph;
    for (const { name, bound, scope } of graph.symbols) {
      if (scope === 'session') this.#symbols[name] = options.symbols?.[name] ?? bound;
    }
    for (const weight of graph.weights) {
      const given = lookup(options.weights, weight.name);
      if (!given && !weight.optional)
        throw misfit('weight', weight.name, 'missing', typeShown(weight.type, this.#symbols));
      const held = given ?? zeros(weight.type.dtype, concrete(weight.type, this.#symbols));
      fit('weight', weight.name, held, weight.type, this.#symbols);
      this.#prepared.set(weight.id, held);
    }
    for (const node of graph.nodes.filter((n) => n.stage === 'prepare'))
      runNode(node, this.#prepared, this.#symbols, this.#widened);
    this.#steps = graph.nodes.filter((n) => n.stage === 'step');
    this.#lastUse = new Map(this.#steps.flatMap((node, i) => node.inputs.map((id) => [id, i] as const)));
    this.reset();
  }

  /** Sets all states to zero. */
  reset(): void {
    for (const { id, type } of this.graph.states)
      this.#states.set(id, zeros(type.dtype, concrete(type, this.#symbols)));
  }

  /** A state's tensor, as the last step left it. */
  state(id: ValueId): Tensor {
    const state = this.#states.get(id);
    invariant(state, `graph ${this.graph.name} has no state ${id}`);
    return state;
  }

  /** Value of a prepare node or weight. */
  prepared(id: ValueId): Tensor {
    const value = this.#prepared.get(id);
    invariant(value, `graph ${this.graph.name} has no prepared value ${id}`);
    return value;
  }

  /** Runs one step; the sizes of step symbols (T) are read off the inputs. `taps` also returns all tapped values. */
  step(inputs: Tensors, options: StepOptions = {}): StepResult {
    const symbols = { ...this.#symbols };
    const values = new Map<ValueId, Tensor>([...this.#prepared, ...this.#states]);
    for (const input of this.graph.inputs) {
      const given = lookup(inputs, input.id);
      if (!given) throw misfit('input', input.id, 'missing', typeShown(input.type, symbols));
      resolve(given, input.type, symbols, this.graph);
      fit('input', input.id, given, input.type, symbols);
      values.set(input.id, given);
    }
    const wanted = [...this.graph.outputs, ...(options.taps ? this.graph.taps : [])];
    const kept = new Set(wanted.map((entry) => entry.value));
    for (const [i, node] of this.#steps.entries()) {
      runNode(node, values, symbols, this.#widened, options.settle);
      for (const id of node.inputs) if (this.#lastUse.get(id) === i && !kept.has(id)) values.delete(id);
    }
    const pick = (entries: readonly Named[]) => Object.fromEntries(entries.map((e) => [e.name, values.get(e.value)!]));
    return { outputs: pick(this.graph.outputs), taps: options.taps ? pick(this.graph.taps) : {} };
  }
}

/** Loads a graph and runs one step. */
export function interpret(
  graph: Graph,
  options: { weights?: Tensors; symbols?: Symbols; inputs?: Tensors; taps?: boolean } = {},
): StepResult {
  return new Interpreter(graph, options).step(options.inputs ?? {}, options);
}

/** Tensors that are stored narrow, as the f32 that ops compute with. */
type Widened = WeakMap<Tensor, Tensor>;

/** Runs a node: operands stored narrow are widened for ops that compute in f32, results rounded to how they are stored. */
function runNode(
  node: Node,
  values: Map<ValueId, Tensor>,
  symbols: Symbols,
  widened: Widened,
  settle: Settle = (_, results) => results,
): void {
  invariant(isKind(node.op), `no op is called ${node.op}`);
  const operands = node.inputs.map((id) => {
    const value = values.get(id);
    if (!value) throw badGraph('', [`operand ${id} of ${node.results[0]?.id} has no value`]);
    return value;
  });
  const { infer, run, inputs } = ops[node.op];
  const asTheyAre = !isProblem(infer(operands, node.attrs));
  const states = stateOperands(inputs);
  const given = operands.map((operand, i) => {
    if (asTheyAre || !isNarrow(operand)) return operand;
    return states.includes(i) ? floatsOf(operand) : widenedOnce(operand, widened);
  });
  const results = run(given, node.attrs, symbols);
  for (const i of states) if (given[i] !== operands[i]) stored(given[i]!, operands[i]!.dtype, operands[i]!);
  const settled = settle(
    node,
    node.results.map(({ type }, i) => stored(results[i]!, type.dtype)),
  );
  for (const [i, { id, type }] of node.results.entries()) {
    const result = settled[i]!;
    fit(`result of ${node.op}`, id, result, type, symbols);
    values.set(id, result);
  }
}

const isNarrow = ({ dtype }: Tensor): boolean => dtype === 'bf16' || dtype === 'f16';

const floatsOf = (narrow: Tensor): Tensor => ops.cast.run([narrow], { dtype: 'f32' }, {})[0]!;

function widenedOnce(narrow: Tensor, widened: Widened): Tensor {
  const wide = widened.get(narrow) ?? floatsOf(narrow);
  widened.set(narrow, wide);
  return wide;
}

/** A float tensor as the element type that it is stored in, into `to` where given; others as they are. */
function stored(result: Tensor, dtype: Type['dtype'], to?: Tensor): Tensor {
  if (result.dtype === dtype || !isFloat(result.dtype) || !isFloat(dtype)) return result;
  const rounded = ops.cast.run([result], { dtype }, {})[0]!;
  if (to === undefined) return rounded;
  (to.data as Uint16Array).set(rounded.data as Uint16Array);
  return to;
}

const isMap = (tensors: Tensors): tensors is ReadonlyMap<string, Tensor> => tensors instanceof Map;

const lookup = (tensors: Tensors | undefined, name: string): Tensor | undefined => {
  if (!tensors) return undefined;
  if (isMap(tensors)) return tensors.get(name);
  return Object.hasOwn(tensors, name) ? tensors[name] : undefined;
};

const concrete = (type: Type, symbols: Symbols): number[] => type.shape.map((dim) => sizeOf(dim, symbols));

const typeShown = (type: Type, symbols: Symbols): string =>
  `${type.dtype}[${type.shape.map((dim) => (typeof dim === 'string' ? (symbols[dim] ?? dim) : dim)).join(',')}]`;

/** Takes the sizes of symbols not known yet from a tensor. */
function resolve(given: Tensor, type: Type, symbols: Record<string, number>, graph: Graph): void {
  for (const [axis, dim] of type.shape.entries()) {
    const size = given.shape[axis];
    if (typeof dim !== 'string' || size === undefined || symbols[dim] !== undefined) continue;
    const bound = graph.symbols.find((symbol) => symbol.name === dim)?.bound ?? 0;
    if (size > bound)
      throw opMisuse('step', { code: 'symbol-too-large', message: `${dim} = ${size} exceeds its bound ${bound}` });
    symbols[dim] = size;
  }
}

function fit(what: string, name: string, given: Tensor, type: Type, symbols: Symbols): void {
  const got = `${given.dtype}[${given.shape.join(',')}]`;
  const wanted = typeShown(type, symbols);
  if (got !== wanted) throw misfit(what, name, got, wanted);
}
