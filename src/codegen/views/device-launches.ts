// Views of the host's part of a device plan: the table of a step's launches, and its kernels as functions of the host.

import type { DeviceStep } from '../../plan/device/launch.ts';
import { type DevicePlan, deviceSteps } from '../../plan/plans.ts';
import type { Buffer } from '../../plan/types.ts';
import { elementsPerToken } from '../../plan/views.ts';
import { dtypeBytes } from '../../support/dtype.ts';
import { invariant } from '../../support/errors.ts';
import { stringLiteral } from '../cpp.ts';
import { type HeldPointer, isHeld, kernelNames, placeOf, writes } from './device-kernels.ts';

/** View of templates/cuda/launches.cc: what the host hands to the device, as data. */
export function launchesView(plan: DevicePlan, source: string): object {
  return { source, name: plan.name, variants: deviceSteps(plan).map((step) => launchTable(step, plan)) };
}

/** Bytes to the count that a step's kernels take: how many tokens it has lies there, and behind it how many are to be chosen. */
export const tokensAt = ({ name }: Pick<DeviceStep, 'name'>): number => (name === 'sample' ? 4 : 0);

/** The rows of launches.cc for a step, and which of the arguments are whose. */
export interface LaunchTable {
  readonly name: string;
  readonly launches: readonly string[];
  readonly count: number;
  readonly args: readonly string[];
  readonly own: readonly { readonly first: number; readonly count: number }[];
}

export function launchTable(variant: DeviceStep, plan: DevicePlan): LaunchTable {
  const buffers = new Map(variant.buffers.map((b) => [b.name, b]));
  const args: string[] = [];
  const names = kernelNames(variant).map(stringLiteral);
  const own: { first: number; count: number }[] = [];
  const launches = variant.launches.map((launch, i) => {
    const first = args.length;
    args.push(...launch.pointers.filter(isHeld).map((p) => argument(p, buffers, plan)));
    const count = tokensAt(variant);
    if (launch.rows.tokens && variant.maxTokens > 1)
      args.push(`{ Space::tokens, 0, ${count}, ${count}, 8, -1, false }`);
    own.push({ first, count: args.length - first });
    const extent = (of: readonly number[]) => `{ ${of.join(', ')} }`;
    return `{ ${names[i]}, ${stringLiteral(placeOf(launch))}, ${extent(launch.grid)}, ${extent(launch.block)}, ${launch.shared}, ${first}, ${args.length - first}, ${launch.stream}, ${launch.after ?? -1} }`;
  });
  return {
    name: variant.name,
    launches,
    count: launches.length,
    args: args.length > 0 ? args : ['{ Space::none, 0, 0 }'],
    own,
  };
}

function argument(p: HeldPointer, buffers: ReadonlyMap<string, Buffer>, { symbols }: DevicePlan): string {
  const buffer = buffers.get(p.view.buffer);
  invariant(buffer !== undefined && buffer.space !== 'scratch', `${p.view.buffer} is no buffer of the step`);
  const begin = p.view.offset * dtypeBytes[p.view.dtype];
  const bytes = elementsPerToken(buffer.shape) * dtypeBytes[buffer.dtype];
  const symbol = symbols.findIndex(({ name }) => buffer.shape.includes(name));
  return `{ Space::${buffer.space}, ${buffer.index}, ${buffer.offset + begin}, ${begin}, ${bytes}, ${symbol}, ${writes(p)} }`;
}

/** View of templates/cuda/simt.cc: the kernels of all steps as functions of the host. */
export const simtView = (steps: readonly DeviceStep[], source: string): object => ({
  source,
  steps: steps.map((step) => ({
    name: step.name,
    kernels: kernelNames(step).map((name, i) => ({ name, place: stringLiteral(placeOf(step.launches[i]!)) })),
  })),
});
