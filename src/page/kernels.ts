// The launches of a schedule for the page: what each computes, stands for and touches, and where its source is.

import type { Provenance } from '../inspect.ts';
import type { ValueId } from '../ir/graph.ts';
import type { Note } from '../passes/explain-fusion.ts';
import type { DeviceLaunch } from '../plan/device/launch.ts';
import type { Plan } from '../plan/plans.ts';
import type { AnyLaunch, Buffer, Count, Schedule, View } from '../plan/types.ts';
import type { Arithmetic, KernelData, OperandData } from './data.ts';
import { familyOf } from './families.ts';

type Named = Pick<Plan, 'inputs' | 'outputs' | 'weights' | 'states'>;

/** Where a launch's source is: places in the lists of the page. */
export type SourceOf = Pick<KernelData, 'excerpts' | 'header' | 'headerLine' | 'calls'>;

/** What kernels are described with. */
export interface Context {
  readonly plan: Named;
  readonly provenance: Provenance;
  readonly notes: readonly Note[];
  /** Places of as-written nodes in the page's list, by their first results. */
  readonly places: ReadonlyMap<ValueId, number>;
  /** Nodes that run when weights load, by their first results. */
  readonly prepared: ReadonlySet<ValueId>;
}

/**
 * The kernels of a schedule, each with its source. Where prepare packs a weight for a node of the step, it computes no part of that node.
 */
export function kernelsOf(
  { launches, buffers }: Schedule<AnyLaunch | DeviceLaunch>,
  sources: readonly SourceOf[],
  context: Context,
  stage: 'prepare' | 'step',
): KernelData[] {
  const byName = new Map(buffers.map((buffer) => [buffer.name, buffer]));
  return launches.map((launch, i): KernelData => {
    const own = launch.nodes.filter((id) => stage === 'step' || context.prepared.has(id));
    const origins = own.map((id) => context.provenance.nodes[id]);
    const from = origins.flatMap((origin) => origin?.from ?? []);
    return {
      kernel: launch.kernel,
      family: familyOf(launch.kernel),
      computes: computesText(launch, own.length === launch.nodes.length),
      rows: rowsText(launch.rows),
      ops: [...new Set(from.map((id) => context.places.get(id)!))].sort((a, b) => a - b),
      passes: [...new Set(origins.flatMap((origin) => origin?.passes ?? []))],
      notes: context.notes
        .filter(({ kind, node }) => kind === 'fused' && node !== undefined && launch.nodes.includes(node))
        .map(({ text }) => text.replace(/^[^:]*: /, '')),
      operands: parametersOf(launch).flatMap(({ name, view, access }) =>
        view === null ? [] : [operand(name, access, view, byName.get(view.buffer), context.plan)],
      ),
      ...sources[i]!,
      arithmetic: arithmeticOf(launch),
    };
  });
}

function computesText({ computes }: AnyLaunch | DeviceLaunch, itself: boolean): string {
  if (computes === '') return 'hands out a result';
  return itself ? computes : `puts in order what steps read: ${computes}`;
}

interface Parameter {
  readonly name: string;
  readonly view: View | null;
  readonly access: OperandData['access'];
}

/** What a launch's parameters point to. */
export function parametersOf(launch: AnyLaunch | DeviceLaunch): readonly Parameter[] {
  if ('pointers' in launch) {
    const words = { read: 'reads', write: 'writes', update: 'updates' } as const;
    return launch.pointers.map(({ name, view, access }) => ({ name, view, access: words[access] }));
  }
  const views = (of: object): [string, View | null][] => Object.entries(of);
  return [
    ...views(launch.reads).map(([name, view]) => ({ name, view, access: 'reads' as const })),
    ...views(launch.writes).map(([name, view]) => ({ name, view, access: 'writes' as const })),
  ];
}

function operand(
  name: string,
  access: OperandData['access'],
  view: View,
  buffer: Buffer | undefined,
  plan: Named,
): OperandData {
  const space = buffer?.space ?? 'arena';
  const tensors = { input: plan.inputs, output: plan.outputs, weight: plan.weights, state: plan.states };
  const tensor = space in tensors ? tensors[space as keyof typeof tensors][buffer!.index]?.name : undefined;
  return { name, access, of: tensor ?? view.buffer, space, holds: `${view.dtype}[${view.shape.join(',')}]` };
}

const rowsText = ({ factor, tokens }: Count): string =>
  tokens ? (factor === 1 ? 'T' : `T*${factor}`) : String(factor);

/**
 * What the products of a launch run on: tensor cores, where its kernel is written for them; on the CPU pairs of bf16 and, for the scores
 * of keys, bytes; else f32.
 */
function arithmeticOf(launch: AnyLaunch | DeviceLaunch): Arithmetic {
  if ('pointers' in launch) return /_mma(_pair)?$/.test(launch.kernel) ? 'bf16' : 'f32';
  switch (launch.kernel) {
    case 'score_topk':
      return launch.reads.packed === null ? 'f32' : 'i8';
    case 'linear':
    case 'pool_linear':
      return launch.reads.packed?.dtype === 'bf16' ? 'bf16' : 'f32';
    case 'expert_linear':
      return launch.reads.weights?.dtype === 'bf16' ? 'bf16' : 'f32';
    default:
      return 'f32';
  }
}

/**
 * What makes two launches alike: kernel, constants, and the types of what they point to, but not where that lies. For finding blocks
 * that repeat.
 */
export function signatureOf(launch: AnyLaunch | DeviceLaunch): string {
  const { kernel, constants, rows } = launch;
  const views = parametersOf(launch).map(({ view }) => view && [view.dtype, view.shape]);
  const map = 'map' in launch ? launch.map : undefined;
  return JSON.stringify([kernel, constants, rows, map, views]);
}
