// Many op cases as one graph, so that one addon runs them all: every name gets the case's number in front.

import type { Graph, SymbolDim } from '../../src/ir/index.ts';
import type { Tensor } from '../../src/support/tensor.ts';
import { zeros } from '../../src/support/tensor.ts';
import type { OpCase, Tensors } from './case.ts';

/** One graph that computes all cases; names of case i start with `c<i>_`. */
export function mergeCases(name: string, cases: readonly OpCase[]): Graph {
  const symbols = new Map<string, SymbolDim>();
  const merged = { inputs: [], weights: [], states: [], nodes: [], outputs: [] } as Mutable<
    Pick<Graph, 'inputs' | 'weights' | 'states' | 'nodes' | 'outputs'>
  >;
  for (const [i, { graph }] of cases.entries()) {
    const own = (id: string) => `c${i}_${id}`;
    for (const s of graph.symbols) symbols.set(s.name, s);
    merged.inputs.push(...graph.inputs.map((x) => ({ ...x, id: own(x.id) })));
    merged.weights.push(...graph.weights.map((x) => ({ ...x, id: own(x.id), name: own(x.name) })));
    merged.states.push(...graph.states.map((x) => ({ ...x, id: own(x.id) })));
    merged.nodes.push(
      ...graph.nodes.map((n) => ({
        ...n,
        inputs: n.inputs.map(own),
        results: n.results.map((r) => ({ ...r, id: own(r.id) })),
      })),
    );
    merged.outputs.push(...graph.outputs.map((o) => ({ name: own(o.name), value: own(o.value) })));
  }
  return { name, symbols: [...symbols.values()], ...merged, taps: [], meta: {} };
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] extends readonly (infer E)[] ? E[] : T[K] };

/** Inputs of the merged graph for a step of T tokens: those of each case by its number, zeros for cases without any. */
export function mergedInputs(
  graph: Graph,
  cases: Readonly<Record<number, Tensors>>,
  T: number,
): Record<string, Tensor> {
  return Object.fromEntries(
    graph.inputs.map(({ id, type }) => {
      const [, number, name] = /^c(\d+)_(.*)$/s.exec(id)!;
      const shape = type.shape.map((d) => (typeof d === 'number' ? d : T));
      return [id, cases[Number(number)]?.[name!] ?? zeros(type.dtype, shape)];
    }),
  );
}

/** T of a step: the size that its inputs have where the graph says so; 1 where it never does. */
export function tokensOf(graph: Graph, inputs: Tensors): number {
  for (const { id, type } of graph.inputs) {
    const axis = type.shape.findIndex((d) => typeof d === 'string');
    if (axis >= 0) return inputs[id]!.shape[axis]!;
  }
  return 1;
}
