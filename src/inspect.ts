// What the compiler makes of a model, stage by stage, for readers: graphs, fusion, plan, work, memory. Builds nothing.

import { isModel, type Model, trace } from './dsl/index.ts';
import type { Graph } from './ir/graph.ts';
import { isKind, opOf } from './ir/ops/index.ts';
import { explainFusion, type Note } from './passes/explain-fusion.ts';
import { hoistWeights } from './passes/hoistWeights.ts';
import { type PassRun, runPasses } from './passes/run-passes.ts';
import { makeDevicePlan, makePlan } from './plan/plan.ts';
import type { Plan } from './plan/plans.ts';

export { parse as parseGraph } from './ir/parse.ts';
export { print as printGraph } from './ir/print.ts';
export { printPlan } from './plan/print.ts';

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
  readonly notes: readonly Note[];
  readonly plan: Plan;
  /** Of a step with one token of one sequence. */
  readonly work: { readonly before: Work; readonly after: Work };
}

/** Traces, rewrites and plans a model, or a graph as it stands. Throws what these throw. */
export function inspect(
  model: Model | Graph,
  { target = 'cpu' }: { readonly target?: InspectTarget } = {},
): Inspection {
  const before = isModel(model) ? trace(model) : model;
  const { graph: after, log } = runPasses(before);
  const notes = explainFusion(before, after);
  // What weights alone decide is left out on both sides.
  const work = { before: workOf(hoistWeights(before)), after: workOf(after) };
  const plan = target === 'cpu' ? makePlan(after) : makeDevicePlan(after);
  return { before, after, log, notes, plan, work };
}

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
