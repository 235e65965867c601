// Device plan → kernels.json: every launch as data, for tools that are not ours. Pure: the same text for the same plan.
// `compile --keep` writes it with the launches of every variant, `run --trace` with those of the steps that ran.

import type { DeviceLaunch, DevicePointer, DeviceStep, Extent3 } from '../plan/device/launch.ts';
import { type DevicePlan, deviceSteps } from '../plan/plans.ts';
import type { Buffer, Space, View } from '../plan/types.ts';
import { type DType, dtypeBytes } from '../support/dtype.ts';
import { invariant } from '../support/errors.ts';
import { kernelNames, placeOf } from './views/device-kernels.ts';
import { tokensAt } from './views/device-launches.ts';

/** Of the form of kernels.json: raised where a reader of the old form would misread the new one. */
export const kernelsVersion = 1;

/** A parameter of a kernel, in order; all parameters are pointers. */
export interface ArgumentDescription {
  readonly name: string;
  /** Who owns the memory; `tokens` is one i32: the T of the step, or how many tokens are to be chosen. */
  readonly kind: Space | 'tokens';
  readonly access: 'read' | 'write' | 'update';
  /** Input, output, weight, state: its name in the model or the checkpoint. */
  readonly tensor?: string;
  readonly dtype: DType;
  /** Names of symbols stand for sizes that a step sets. */
  readonly shape: View['shape'];
  /** In elements. */
  readonly strides: readonly number[];
  /** The piece of memory that it points into; arguments with the same one may overlap. */
  readonly buffer: string;
  /** Bytes from the start of that to the first element. */
  readonly offset: number;
}

export interface LaunchDescription {
  /** An extern "C" function of the source; several launches may share one. */
  readonly kernel: string;
  /** What it computes, and the line of the model that says so. */
  readonly computes: string;
  readonly place: string;
  readonly grid: Extent3;
  readonly block: Extent3;
  /** Bytes of dynamic shared memory. */
  readonly shared: number;
  /** Launches of stream 1 may run beside those of stream 0, but behind the launch `after` (its place in the list) of the other. */
  readonly stream: number;
  readonly after?: number;
  /** The device function that the kernel calls, and what is compiled in: template arguments, an expression, numbers. */
  readonly calls: string;
  readonly constants: DeviceLaunch['constants'];
  readonly expression?: string;
  readonly scalars: readonly number[];
  readonly arguments: readonly ArgumentDescription[];
}

/** A piece of memory that launches point into: dense, tokens outermost. */
export interface BufferDescription {
  readonly name: string;
  readonly kind: Space | 'tokens';
  readonly dtype: DType;
  readonly shape: View['shape'];
}

export interface VariantDescription {
  readonly variant: string;
  /** Steps that it serves. */
  readonly tokens: readonly [least: number, most: number];
  /** File of the kernels. */
  readonly source: string;
  readonly buffers: readonly BufferDescription[];
  readonly launches: readonly LaunchDescription[];
}

/** The buffer that holds T, and behind it how many tokens are to be chosen. */
const tokens: BufferDescription = { name: 'tokens', kind: 'tokens', dtype: 'i32', shape: [2] };
const tokensArgument = (offset: number): ArgumentDescription => ({
  ...{ name: 'tokens', kind: 'tokens', access: 'read' },
  ...{ dtype: 'i32', shape: [1], strides: [1], buffer: 'tokens', offset },
});

/** kernels.json of a compilation. */
export interface KernelsDescription {
  readonly version: number;
  readonly model: string;
  /** Sizes that a session or a step sets. */
  readonly symbols: readonly string[];
  readonly variants: readonly VariantDescription[];
}

/** Every launch of every variant of a plan; `jsonText` of it is kernels.json. */
export const describeKernels = (plan: DevicePlan): KernelsDescription => ({
  version: kernelsVersion,
  model: plan.name,
  symbols: plan.symbols.map(({ name }) => name),
  variants: deviceSteps(plan).map((step) => describeVariant(plan, step)),
});

function describeVariant(plan: DevicePlan, variant: DeviceStep): VariantDescription {
  const buffers = new Map(variant.buffers.map((b) => [b.name, b]));
  const kernels = kernelNames(variant);
  return {
    variant: variant.name,
    tokens: [variant.minTokens, variant.maxTokens],
    source: `step_${variant.name}.cu`,
    buffers: [
      ...variant.buffers.map(({ name, space, dtype, shape }) => ({ name, kind: space, dtype, shape })),
      ...(variant.maxTokens > 1 ? [tokens] : []),
    ],
    launches: variant.launches.map((launch, i) => ({
      kernel: kernels[i]!,
      ...describeLaunch(launch),
      arguments: [
        ...launch.pointers.flatMap((p) =>
          p.view === null ? [] : [argument(p, p.view, buffers.get(p.view.buffer), plan)],
        ),
        ...(launch.rows.tokens && variant.maxTokens > 1 ? [tokensArgument(tokensAt(variant))] : []),
      ],
    })),
  };
}

function describeLaunch(launch: DeviceLaunch): Omit<LaunchDescription, 'kernel' | 'arguments'> {
  const { kernel: calls, computes, grid, block, shared, stream, after, constants, scalars, map } = launch;
  return {
    computes,
    place: placeOf(launch),
    grid,
    block,
    shared,
    stream,
    ...(after !== undefined && { after }),
    calls,
    constants,
    ...(map !== undefined && { expression: withLiterals(map) }),
    scalars,
  };
}

function argument(
  { name, access }: DevicePointer,
  { buffer, dtype, shape, strides, offset }: View,
  of: Buffer | undefined,
  plan: DevicePlan,
): ArgumentDescription {
  invariant(of !== undefined, `${buffer} is no buffer of the step`);
  const named = { input: plan.inputs, output: plan.outputs, weight: plan.weights, state: plan.states };
  const tensor = of.space in named ? named[of.space as keyof typeof named][of.index]?.name : undefined;
  const place = { buffer, offset: offset * dtypeBytes[dtype] };
  return { name, kind: of.space, access, ...(tensor !== undefined && { tensor }), dtype, shape, strides, ...place };
}

/** `a * k, where k = 0.5` */
function withLiterals({ expr, literals }: NonNullable<DeviceLaunch['map']>): string {
  const known = Object.entries(literals).map(([name, value]) => `${name} = ${value}`);
  return known.length === 0 ? expr : `${expr}, where ${known.join(', ')}`;
}

/** JSON with a line per leaf or short list; numbers that JSON lacks as text. */
export function jsonText(value: unknown, width = 160): string {
  const text = (of: unknown): string =>
    JSON.stringify(of, (_, v: unknown) => (typeof v === 'number' && !Number.isFinite(v) ? String(v) : v));
  const lay = (of: unknown, indent: string): string => {
    const line = text(of);
    if (typeof of !== 'object' || of === null || indent.length + line.length <= width) return line;
    const deeper = `${indent}  `;
    const parts = Array.isArray(of)
      ? of.map((part) => lay(part, deeper))
      : Object.entries(of).flatMap(([key, part]) => (part === undefined ? [] : [`${text(key)}: ${lay(part, deeper)}`]));
    const [open, close] = Array.isArray(of) ? '[]' : '{}';
    return `${open}\n${parts.map((part) => deeper + part).join(',\n')}\n${indent}${close}`;
  };
  return `${lay(value, '')}\n`;
}
