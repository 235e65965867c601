// The graph under construction while a model's definition runs, and the faults found so far.

import { dirname, relative, sep } from 'node:path';
import type * as graph from '../ir/graph.ts';
import type { Attrs, Dim, Graph, Input, Loc, Meta, Named, Node, Result, SymbolDim, Type, Weight } from '../ir/graph.ts';
import { typeText } from '../ir/graph.ts';
import type { Diagnostic } from '../support/diagnostics.ts';
import type { DType } from '../support/dtype.ts';
import { outsideModel } from '../support/errors/dsl.ts';
import { deepFreeze } from '../support/freeze.ts';
import { type Call, callPath, callSite, userCall } from './call-site.ts';
import type { State, Tensor } from './tensor.ts';

/** What a word says about a fault; the trace adds the place. */
export interface Fault {
  readonly code: string;
  readonly message: string;
  readonly got?: string | undefined;
  readonly wanted?: string | undefined;
  readonly hint?: string | undefined;
}

/** Everything recorded so far. Words append through these functions; nothing is ever taken back. */
export interface Trace {
  readonly symbols: Map<string, SymbolDim>;
  readonly diagnostics: Diagnostic[];
  /** Records a fault at the user's call. */
  report(fault: Fault): void;
  input(name: string, type: Type, below: Dim | undefined): Tensor;
  weight(name: string, type: Type, facts: Pick<Weight, 'optional' | 'below' | 'placement'>): Tensor;
  state(name: string, shape: readonly Dim[]): State;
  /** Appends a node whose operands and attributes were checked, and gives handles of its results. */
  node(op: string, operands: readonly (Tensor | State)[], attrs: Attrs, results: readonly Type[]): Tensor[];
  output(name: string, value: Tensor): void;
  tap(name: string, value: Tensor): void;
  /** Stands for a result that could not be computed. */
  poison(dtype: DType): Tensor;
  poisonedState(): State;
  owns(value: Tensor | State): boolean;
  /** The state has a node that updates it: a second one is a fault. */
  claim(state: State): boolean;
  outputs(): readonly Named[];
  /** Per node, by its first result, the calls that led to it: see callPath. */
  readonly calls: ReadonlyMap<string, readonly Call[]>;
  finish(meta: Meta): Graph;
}

let running: Trace | undefined;

/** The trace in progress; throws `outside-model` when there is none. */
export function currentTrace(word: string): Trace {
  if (running === undefined) throw outsideModel(word);
  return running;
}

/** Runs `body` with `trace` as the one that words append to; traces nest. */
export function within(trace: Trace, body: () => void): void {
  const outer = running;
  running = trace;
  try {
    body();
  } finally {
    running = outer;
  }
}

/** An empty trace. Call sites in the graph are given relative to the folder of `origin`, the model's own file. */
export function startTrace(name: string, origin: Loc | undefined): Trace {
  const symbols = new Map<string, SymbolDim>();
  const inputs: Input[] = [];
  const weights: Weight[] = [];
  const states: graph.State[] = [];
  const nodes: Node[] = [];
  const outputs: Named[] = [];
  const taps: Named[] = [];
  const diagnostics: Diagnostic[] = [];
  const names = { weight: new Set<string>(), output: new Set<string>(), tap: new Set<string>() };
  const ids = new Set<string>();
  const handles = new WeakSet<Tensor | State>();
  const claimed = new Set<string>();
  const callsOf = new Map<string, readonly Call[]>();

  const place = (calls = callPath()): Loc | undefined => {
    const loc = userCall(calls);
    return loc && { ...loc, file: shownPath(loc.file, origin) };
  };
  /** An id like the name, made unique; characters that ids do not have become `_`. */
  const idFor = (wanted: string): string => {
    const base = wanted.replace(/[^\w.]/g, '_') || 'x';
    let id = base;
    for (let n = 1; ids.has(id); n++) id = `${base}_${n}`;
    ids.add(id);
    return id;
  };
  const handle = (id: string, { dtype, shape }: Type, poisoned = false): Tensor => {
    const tensor: Tensor = Object.freeze({ kind: 'tensor', dtype, shape: Object.freeze([...shape]), id, poisoned });
    handles.add(tensor);
    return tensor;
  };
  const stateHandle = (id: string, shape: readonly Dim[], poisoned = false): State => {
    const state: State = Object.freeze({ kind: 'state', shape: Object.freeze([...shape]), id, poisoned });
    handles.add(state);
    return state;
  };
  const report = (fault: Fault): void => {
    const { code, message, got, wanted, hint } = fault;
    diagnostics.push(deepFreeze({ code, message, loc: callSite(), got, wanted, hint }));
  };
  const isTaken = (what: keyof typeof names, given: string): boolean => {
    if (!names[what].has(given)) {
      names[what].add(given);
      return false;
    }
    const again =
      what === 'weight' ? 'keep its tensor in a variable to use it again' : `give each ${what} its own name`;
    report({ code: 'duplicate-name', message: `two ${what}s are called "${given}"`, hint: again });
    return true;
  };

  return {
    symbols,
    diagnostics,
    report,
    input(given, type, below) {
      if (ids.has(given)) {
        const hint = 'give each input and state its own name';
        report({ code: 'duplicate-name', message: `the name "${given}" is taken`, hint });
        return handle(given, type, true);
      }
      const id = idFor(given);
      inputs.push({ kind: 'input', id, type, below, loc: place() });
      return handle(id, type);
    },
    weight(given, type, facts) {
      if (isTaken('weight', given)) return handle(given, type, true);
      // Inputs are called by their ids, which have no dots: a weight's id has one, so that `keys` may be both.
      const id = idFor(given.includes('.') ? given : `w.${given}`);
      weights.push({ kind: 'weight', id, name: given, type, ...facts, loc: place() });
      return handle(id, type);
    },
    state(given, shape) {
      if (ids.has(given)) {
        const hint = 'give each input and state its own name';
        report({ code: 'duplicate-name', message: `the name "${given}" is taken`, hint });
        return stateHandle(given, shape, true);
      }
      const id = idFor(given);
      states.push({ kind: 'state', id, type: { dtype: 'f32', shape }, loc: place() });
      return stateHandle(id, shape);
    },
    node(op, operands, attrs, types) {
      const results: Result[] = types.map((type) => ({ id: idFor(`${op}_${nodes.length}`), type }));
      const calls = callPath();
      callsOf.set(results[0]!.id, calls);
      nodes.push({ op, inputs: operands.map(({ id }) => id), attrs, results, stage: 'step', loc: place(calls) });
      return results.map(({ id, type }) => handle(id, type));
    },
    output(given, value) {
      if (!isTaken('output', given) && !value.poisoned) outputs.push({ name: given, value: value.id });
    },
    tap(given, value) {
      if (!isTaken('tap', given) && !value.poisoned) taps.push({ name: given, value: value.id });
    },
    poison: (dtype) => handle('poison', { dtype, shape: [] }, true),
    poisonedState: () => stateHandle('poison', [], true),
    owns: (value) => handles.has(value),
    claim(state) {
      if (claimed.has(state.id)) return false;
      claimed.add(state.id);
      return true;
    },
    outputs: () => outputs,
    calls: callsOf,
    finish: (meta) =>
      deepFreeze({ name, symbols: [...symbols.values()], inputs, weights, states, nodes, outputs, taps, meta }),
  };
}

/** A value's type as an error shows it. */
export const shown = (value: Tensor | State): string =>
  value.kind === 'state' ? `state f32[${value.shape.join(',')}]` : typeText(value);

/** Path relative to the model's folder with forward slashes, so that a graph reads the same wherever the project lies. */
function shownPath(file: string, origin: Loc | undefined): string {
  const path = origin === undefined ? file : relative(dirname(origin.file), file);
  return path.split(sep).join('/');
}
