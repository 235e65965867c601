// Graph → Plan: kernels, views, packing, lifetimes and offsets, for prepare and for every range of T; on the CPU or a device.

import type { Graph } from '../ir/graph.ts';
import { unsupportedShape } from '../support/errors/plan.ts';
import { invariant } from '../support/errors.ts';
import { fuseRetrieval } from './device/fuse-retrieval.ts';
import { lower } from './device/index.ts';
import { planSampling } from './device/sample.ts';
import { assignStreams } from './device/streams.ts';
import { requireRowsOfFiles } from './file-tables.ts';
import { fusePoolLinear } from './fuse-pool-linear.ts';
import { GraphIndex } from './graph-index.ts';
import { kernelChoice } from './kernels/index.ts';
import { requireTokensFirst } from './kernels/operands.ts';
import { estimateMemory } from './memory.ts';
import type { CpuPlan, DevicePlan } from './plans.ts';
import { type Device, Scheduler } from './scheduler.ts';
import type { Buffer, PlanFor, PlanTensor, SampleStep, Schedule, Variant } from './types.ts';
import { tokenRanges } from './variants.ts';

/**
 * Plans a graph that has gone through the passes for the cpu target.
 * @throws UltramemError `unsupported-shape` where no kernel serves an op's shape, naming op, attribute and limit.
 */
export const makePlan = (graph: Graph): CpuPlan => planWith(graph, 'cpu', (s) => s.launches);

/**
 * Plans a graph for a device: prepare stays on the CPU, every launch of a step becomes launches of the device's kernels.
 * @throws UltramemError as makePlan, with the limits of native/cuda
 */
export const makeDevicePlan = (graph: Graph): DevicePlan =>
  planWith(graph, 'cuda', (s) => s.deviceLaunches, lower, planSampling);

function planWith<Target extends string, L>(
  graph: Graph,
  target: Target,
  launchesOf: (step: Scheduler) => readonly L[],
  lowering?: Device['lower'],
  sampling?: (graph: Graph, outputs: readonly PlanTensor[]) => SampleStep<L> | undefined,
): PlanFor<Target, L> {
  requireOneStepSymbol(graph);
  const index = new GraphIndex(graph);
  const prepare = new Scheduler(index);
  planNodes(prepare, 'prepare');

  const bound = graph.symbols.find((s) => s.scope === 'step')?.bound ?? 1;
  const steps = tokenRanges(bound).map((range) => {
    const step = new Scheduler(index, prepare, lowering && { maxTokens: range.max, lower: lowering });
    planNodes(step, 'step');
    for (const [i, output] of graph.outputs.entries()) {
      requireTokensFirst('output', step.view(output.value));
      step.bindOutput(i, output.name, output.value);
    }
    if (lowering === undefined && range.name === 'many') step.arrangeLaunches(fusePoolLinear);
    if (lowering !== undefined) {
      step.arrangeDeviceLaunches(fuseRetrieval);
      step.arrangeDeviceLaunches((launches) =>
        assignStreams(launches, (d) => step.decide(d.subject, `${d.choice} in ${range.name}`, d.reason)),
      );
    }
    prepare.decide(
      `variant ${range.name}`,
      `T ${range.min === range.max ? range.min : `${range.min}…${range.max}`}`,
      range.reason,
    );
    return { range, step, launches: launchesOf(step), memory: step.finish(range.max) };
  });
  for (const { launches } of [prepare, ...steps.map(({ step }) => step)]) requireRowsOfFiles(graph, prepare, launches);

  const kept = new Set(steps.flatMap((s) => s.memory.buffers.filter((b) => b.space === 'prepared').map((b) => b.name)));
  const used = new Set(steps.flatMap((s) => s.memory.buffers.map((b) => b.name)));
  const { keptBytes, ...prepareMemory } = prepare.finish(1, kept);
  const offsets = new Map(prepareMemory.buffers.map((b) => [b.name, b.offset]));
  const variants = steps.map(
    ({ range, launches, memory: { buffers, bytes } }): Variant<L> => ({
      name: range.name,
      minTokens: range.min,
      maxTokens: range.max,
      launches,
      buffers: buffers.map((b) => (b.space === 'prepared' ? { ...b, offset: preparedOffset(b, offsets) } : b)),
      bytes,
    }),
  );

  const retained = new Set(
    variants.flatMap((v) => v.buffers.filter((b) => b.space === 'weight' && used.has(b.name)).map((b) => b.index)),
  );
  const weights = graph.weights.map(
    (w, i): PlanTensor => ({
      name: w.name,
      id: w.id,
      type: w.type,
      below: w.below,
      optional: w.optional,
      retained: retained.has(i),
      placement: w.placement,
    }),
  );
  const outputs = graph.outputs.map(
    (o): PlanTensor => ({ ...plain, name: o.name, id: o.value, type: typeOf(graph, o.value) }),
  );
  const prepareSchedule: Schedule = { launches: prepare.launches, ...prepareMemory };
  return deepFreeze({
    name: graph.name,
    target,
    meta: graph.meta,
    symbols: graph.symbols,
    inputs: graph.inputs.map((t): PlanTensor => ({ ...plain, name: t.id, id: t.id, type: t.type, below: t.below })),
    outputs,
    weights,
    states: graph.states.map((s): PlanTensor => ({ ...plain, name: s.id, id: s.id, type: s.type })),
    prepare: prepareSchedule,
    preparedBytes: keptBytes,
    variants,
    sample: sampling?.(graph, outputs),
    memory: estimateMemory(graph, weights, prepareSchedule, keptBytes, variants),
    decisions: prepare.decisions,
  });
}

const plain = { below: undefined, optional: false, retained: false, placement: 'memory' } as const;

function planNodes(at: Scheduler, stage: 'prepare' | 'step'): void {
  for (const node of at.graph.nodes) {
    if (node.stage !== stage) continue;
    const choose = kernelChoice[node.op as keyof typeof kernelChoice];
    invariant(choose !== undefined, `no kernel choice for op ${node.op}`);
    at.begin(node);
    choose(node, at);
  }
}

function requireOneStepSymbol(graph: Graph): void {
  const symbols = graph.symbols.filter((s) => s.scope === 'step').map((s) => s.name);
  if (symbols.length > 1) throw unsupportedShape('model', 'symbols of a step', 'one', symbols.join(', '));
}

function preparedOffset(buffer: Buffer, offsets: ReadonlyMap<string, number>): number {
  const offset = offsets.get(buffer.name);
  invariant(offset !== undefined, `${buffer.name} is read by a step but never prepared`);
  return offset;
}

function typeOf(graph: Graph, id: string) {
  const leaf = [...graph.inputs, ...graph.weights, ...graph.states].find((l) => l.id === id);
  const type = leaf?.type ?? graph.nodes.flatMap((n) => n.results).find((r) => r.id === id)?.type;
  invariant(type !== undefined, `output of an unknown value ${id}`);
  return type;
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const part of Object.values(value)) deepFreeze(part);
  }
  return value;
}
