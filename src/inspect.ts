// What the compiler makes of a model, stage by stage, for readers: graphs, fusion, plan, work, memory. Builds nothing.

import { storedGraph, type TranslateOptions } from './compile.ts';
import { isModel, type Model, trace } from './dsl/index.ts';
import type { Graph, Node, ValueId } from './ir/graph.ts';
import { isKind, opOf } from './ir/ops/index.ts';
import { type Removal, Trail } from './ir/trail.ts';
import { explainFusion, type Note } from './passes/explain-fusion.ts';
import { hoistWeights } from './passes/hoistWeights.ts';
import { type PassRun, runPasses } from './passes/run-passes.ts';
import { makeDevicePlan, makePlan } from './plan/plan.ts';
import type { Plan } from './plan/plans.ts';
import type { PlanTensor } from './plan/types.ts';
import { estimateLoad, type MemoryEstimate, matchWeights, statesBytes, type WeightsLike } from './runtime/index.ts';
import { UltramemError } from './support/errors.ts';

export { parse as parseGraph } from './ir/parse.ts';
export { print as printGraph } from './ir/print.ts';
export { printPlan } from './plan/print.ts';
export type { Graph };

/** Floating point operations of one step, and bytes if every op read its operands and wrote its results once. */
export interface Work {
  readonly flops: number;
  readonly bytes: number;
}

/** What the plan is for; simt runs the very plan of cuda. */
export type InspectTarget = 'cpu' | 'cuda' | 'simt';

export interface Inspection {
  /** As the user wrote it. */
  readonly before: Graph;
  /** After all passes. */
  readonly after: Graph;
  readonly log: readonly PassRun[];
  readonly provenance: Provenance;
  readonly notes: readonly Note[];
  readonly plan: Plan;
  /** Of a step with one token of one sequence, all floats counted as f32. */
  readonly work: { readonly before: Work; readonly after: Work };
}

/** Which nodes of one graph those of another compute, as the rewrites between them were followed. Nodes go by their first results. */
export interface Provenance {
  /** Per node of the graph after: the nodes before that it computes, alone or with others, and the passes that made it, in order. */
  readonly nodes: Readonly<Record<ValueId, { readonly from: readonly ValueId[]; readonly passes: readonly string[] }>>;
  /** Per node before that none after computes: why. */
  readonly removed: Readonly<Record<ValueId, Removal>>;
}

/** Traces, rewrites and plans a model, or a graph as it stands. Throws what these throw. */
export function inspect(
  model: Model | Graph,
  {
    target = 'cpu',
    precision,
    tables,
  }: Pick<TranslateOptions, 'precision' | 'tables'> & { readonly target?: InspectTarget } = {},
): Inspection {
  const before = isModel(model) ? trace(model) : model;
  const trail = new Trail(before);
  const { graph, log } = runPasses(before, { trail });
  const after = storedGraph(graph, { precision, tables, target }, trail);
  const notes = explainFusion(before, graph);
  // What weights alone decide is left out on both sides.
  const work = { before: workOf(hoistWeights(before)), after: workOf(graph) };
  const plan = target === 'cpu' ? makePlan(after) : makeDevicePlan(after);
  return { before, after, log, provenance: provenanceOf(trail), notes, plan, work };
}

/**
 * The plan of a graph as it is written, with nothing but the work on weights moved to load: what fusion is measured against. Undefined
 * where kernels cannot run it so.
 */
export function asWritten(
  before: Graph,
  options: Pick<TranslateOptions, 'precision' | 'tables' | 'target'>,
): Plan | undefined {
  const graph = storedGraph(hoistWeights(before), options);
  try {
    return (options.target ?? 'cpu') === 'cpu' ? makePlan(graph) : makeDevicePlan(graph);
  } catch (error) {
    if (error instanceof UltramemError && error.code === 'unsupported-shape') return undefined;
    throw error;
  }
}

function provenanceOf(trail: Trail): Provenance {
  const id = ({ results }: Node): ValueId => results[0]!.id;
  const places = new Map(trail.first.nodes.map((node, place) => [node, place]));
  const inOrder = (nodes: Iterable<Node>): Node[] => [...nodes].sort((a, b) => places.get(a)! - places.get(b)!);
  return {
    nodes: Object.fromEntries(
      trail.graph.nodes.map((node) => {
        const { sources, passes } = trail.originOf(id(node));
        return [id(node), { from: inOrder(sources).map(id), passes }];
      }),
    ),
    removed: Object.fromEntries(
      trail.first.nodes.flatMap((node) => {
        const removal = trail.removalOf(node);
        return removal === undefined ? [] : [[id(node), removal]];
      }),
    ),
  };
}

/**
 * What a model and a session on it will take, before anything is loaded. `weights`: a checkpoint, whose header alone is read; without
 * one, weights count as stored the way the model reads them.
 * @throws UltramemError those of matchWeights
 */
export async function estimate(
  plan: Plan,
  sequences: number,
  { weights, copy }: { readonly weights?: WeightsLike | undefined; readonly copy?: boolean } = {},
): Promise<MemoryEstimate> {
  const tensor = ({ name, type, below }: PlanTensor) => ({ name, dtype: type.dtype, shape: type.shape, below });
  const described = plan.weights.map((weight) => ({ ...tensor(weight), ...loadedAs(weight) }));
  const description = {
    name: plan.name,
    symbols: plan.symbols,
    inputs: plan.inputs.map(tensor),
    outputs: plan.outputs.map(tensor),
    weights: described,
    states: plan.states.map(tensor),
  };
  const { memory } = plan;
  const symbols = Object.fromEntries(
    plan.symbols.map(({ name, bound, scope }) => [name, scope === 'session' ? Math.min(sequences, bound) : bound]),
  );
  const session = { states: statesBytes(description, symbols), arena: memory.arena };
  const { prepared, prepareScratch: passing } = memory;
  if (weights === undefined) {
    return { weights: { mapped: memory.retained, inFile: memory.inFile, own: 0, prepared, passing }, session };
  }
  const matched = await matchWeights(description, weights);
  const sizes = { weights: described, preparedBytes: prepared, prepareBytes: passing };
  return { weights: estimateLoad(sizes, matched.weights, copy), session };
}

const loadedAs = ({ optional, placement, retained }: PlanTensor) => ({ optional, placement, retained });

/** Work of the step nodes with every symbol at 1. */
export function workOf(graph: Graph): Work {
  const types = new Map(
    [...graph.inputs, ...graph.weights, ...graph.states].map(({ id, type }) => [id, type] as const),
  );
  for (const node of graph.nodes) for (const { id, type } of node.results) types.set(id, type);
  const symbols = Object.fromEntries(graph.symbols.map(({ name }) => [name, 1]));
  let flops = 0;
  let bytes = 0;
  for (const { op, stage, inputs, attrs } of graph.nodes) {
    if (stage !== 'step' || !isKind(op)) continue;
    const cost = opOf(op).cost(
      inputs.map((id) => types.get(id)!),
      attrs,
      symbols,
    );
    flops += cost.flops;
    bytes += cost.bytes;
  }
  return { flops, bytes };
}
