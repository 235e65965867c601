// What a model that stores narrow must compute: the interpreter on the same graph, with values stored the same way. Rounding lets close
// choices fall otherwise, so choices are held to the scores they reach, and what follows from them is compared as they fell.

import { fusedGraph, type Model, type Precision, type TableType, type TranslateOptions, trace } from '../compile.ts';
import { loadInterpreted } from '../interpret-engine.ts';
import { type Graph, type Node, Uses, type ValueId } from '../ir/index.ts';
import type { InputValue, WeightsLike } from '../runtime/index.ts';
import { Session, sessionSymbols } from '../runtime/index.ts';
import { elements, type Tensor, zeros } from '../support/tensor.ts';
import { type Comparison, compareFloats, limits } from './compare.ts';

const selections: readonly string[] = ['topk', 'score_topk', 'grid_topk', 'rescore_topk', 'sum_grid_topk'];

/** The step that is checked: what went in, and what came out by the names of the graph's outputs. */
export interface ComputedStep {
  readonly inputs: Readonly<Record<string, InputValue>>;
  readonly sequences: number;
  readonly outputs: Readonly<Record<string, Tensor>>;
  readonly precision: Precision;
  readonly tables: TableType | undefined;
  /** Whose storage it is. */
  readonly target: NonNullable<TranslateOptions['target']>;
}

/** Outputs and kept taps as the interpreter has them; a comparison for every selection. */
export async function expectedInStorage(
  model: Model,
  weights: WeightsLike,
  { inputs, sequences, outputs, precision, tables, target }: ComputedStep,
): Promise<{ expected: Record<string, Tensor>; choices: Comparison[] }> {
  const graph = fusedGraph(trace(model), { taps: true, precision, tables, target });
  const chosen = chosenValues(graph, outputs);
  const choices: Comparison[] = [];
  const settle = (node: Node, own: readonly Tensor[]): readonly Tensor[] => {
    const theirs = node.results.map(({ id }) => chosen.get(id));
    if (!selections.includes(node.op) || theirs.some((one) => one === undefined)) return own;
    const settled = theirs.map((one, i) => ({ ...one!.tensor, shape: own[i]!.shape }) as Tensor);
    const scores = own.findIndex(({ dtype }) => dtype === 'f32');
    const index = own[1 - scores]!;
    const name = `${theirs[scores]!.name}, best first`;
    const ranked = (tensor: Tensor): Tensor => totals(tensor, elements(index.shape));
    choices.push(compareFloats(name, ranked(settled[scores]!), ranked(own[scores]!), undefined, limits[precision]));
    return settled;
  };
  const loaded = await loadInterpreted(graph, weights, { settle });
  try {
    const symbols = sessionSymbols(loaded.model, { maxSequences: sequences });
    using session = new Session(loaded.openEngine(symbols));
    return { expected: await session.forward(inputs), choices };
  } finally {
    loaded.dispose();
  }
}

/** Values of the graph that outputs show, through reshapes, with what was computed for them. */
function chosenValues(
  graph: Graph,
  outputs: Readonly<Record<string, Tensor>>,
): ReadonlyMap<ValueId, { readonly name: string; readonly tensor: Tensor }> {
  const uses = new Uses(graph);
  const root = (id: ValueId): ValueId => {
    const reshape = uses.made(id, 'reshape');
    return reshape === undefined ? id : root(reshape.inputs[0]!);
  };
  return new Map(
    graph.outputs.flatMap(({ name, value }) => {
      const tensor = outputs[name];
      return tensor === undefined ? [] : [[root(value), { name, tensor }] as const];
    }),
  );
}

/** One number per choice: the scores of its cores, summed. */
function totals(scores: Tensor, count: number): Tensor {
  const cores = elements(scores.shape) / count;
  const sums = zeros('f32', [count]);
  for (let i = 0; i < count * cores; i++) sums.data[Math.floor(i / cores)]! += Number(scores.data[i]);
  return sums;
}
