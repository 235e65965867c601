// Bytes and operations of every kernel of a step, for a number of tokens.

import type { Work } from '../inspect.ts';
import type { DeviceLaunch } from '../plan/device/launch.ts';
import { operandsOf as deviceOperands, trafficOf as deviceTraffic } from '../plan/device/traffic.ts';
import { operandsOf, trafficOf } from '../plan/kernels/traffic.ts';
import type { Plan } from '../plan/plans.ts';
import type { OperandTraffic, StepShape } from '../plan/traffic.ts';
import type { AnyLaunch, Space, Variant } from '../plan/types.ts';
import { byteClasses } from './data.ts';

const classNames: Readonly<Record<Space, (typeof byteClasses)[number]>> = {
  weight: 'weights',
  prepared: 'weights',
  scratch: 'weights',
  state: 'states',
  input: 'inputs and outputs',
  output: 'inputs and outputs',
  choices: 'inputs and outputs',
  chosen: 'inputs and outputs',
  arena: 'values between kernels',
};

/**
 * Per launch the bytes by class that it must move, then its operations. Of a table that tokens choose rows from, a row per choice counts,
 * and no more than all of it.
 */
export function figuresOf(
  { launches, buffers }: Variant<AnyLaunch> | Variant<DeviceLaunch>,
  step: StepShape,
): number[][] {
  const spaces = new Map(buffers.map(({ name, space }) => [name, space]));
  return launches.map((launch) => {
    const onDevice = 'pointers' in launch;
    const { flops } = onDevice ? deviceTraffic(launch, step) : trafficOf(launch, step);
    const bytes = byteClasses.map(() => 0);
    for (const operand of onDevice ? deviceOperands(launch, step) : operandsOf(launch, step)) {
      const space = spaces.get(operand.view.buffer) ?? 'arena';
      bytes[byteClasses.indexOf(classOf(operand, space))]! += bytesOf(operand, space);
    }
    return [...bytes, flops];
  });
}

/** Bytes and operations of all kernels of the step of a plan that serves so many tokens. */
export function workOf({ variants }: Plan, step: StepShape): Work {
  const all = variants as readonly Variant<AnyLaunch>[];
  const figures = figuresOf(all.find(({ maxTokens }) => step.tokens <= maxTokens)!, step);
  const flops = figures.reduce((n, row) => n + row.at(-1)!, 0);
  return { flops, bytes: figures.flat().reduce((n, figure) => n + figure, 0) - flops };
}

const isKept = (space: Space): boolean => classNames[space] === 'weights';

const classOf = ({ partly }: OperandTraffic, space: Space): (typeof byteClasses)[number] =>
  isKept(space) && partly ? 'chosen rows' : classNames[space];

const bytesOf = ({ bytesRead, bytesWritten, whole }: OperandTraffic, space: Space): number =>
  isKept(space) ? Math.min(bytesRead, whole) : bytesRead + bytesWritten;

/** Numbers of tokens to count for: 1, 4, 16 … within the bound, and the bound. */
export function tokenChoices(bound: number): number[] {
  const choices: number[] = [];
  for (let tokens = 1; tokens < bound; tokens *= 4) choices.push(tokens);
  return [...choices, bound];
}
