// View of templates/cuda/kernels.cu: the kernels of a step. Launches that differ only in what they point to share one, so that
// a deep model's layers compile once.

import type { DeviceLaunch, DevicePointer, DeviceStep } from '../../plan/device/launch.ts';
import { type DType, isFloat } from '../../support/dtype.ts';
import { invariant } from '../../support/errors.ts';
import { comment, count, f32Literal, f64Literal, i32Literal, ints } from '../cpp.ts';
import { expressionBody } from './elementwise.ts';
import { plural, type ScheduleNames } from './schedule.ts';

/** Element types of device code, which includes no headers; f16, bf16 and f8 are types of native/cuda/convert.cuh. */
const deviceType: Readonly<Record<DType, string>> = {
  f32: 'float',
  f16: 'F16',
  bf16: 'BF16',
  i32: 'int',
  i64: 'long long',
  i8: 'signed char',
  f8: 'F8',
};

/** Line of the model file that a launch comes from. */
export const placeOf = ({ loc }: Pick<DeviceLaunch, 'loc'>): string =>
  loc === undefined ? '' : `${loc.file}:${loc.line}:${loc.column}`;

export interface HeldPointer extends DevicePointer {
  readonly view: NonNullable<DevicePointer['view']>;
}

/** Whether a kernel has a parameter for it; the others are null. */
export const isHeld = (p: DevicePointer): p is HeldPointer => p.view !== null;

export const writes = ({ access }: DevicePointer): boolean => access !== 'read';

interface Kernel {
  /** Unique among all kernels of a model. */
  readonly name: string;
  readonly body: KernelBody;
  readonly launches: DeviceLaunch[];
}

/** The kernels of a step, each with its launches, in the order of its first. */
function kernelsOf(step: DeviceStep): readonly Kernel[] {
  const kernels = new Map<string, Kernel>();
  for (const launch of step.launches) {
    const body = kernelBody(step, launch);
    const key = JSON.stringify(body);
    const known = kernels.get(key);
    if (known === undefined)
      kernels.set(key, { name: `${step.name}_${kernels.size}_${launch.kernel}`, body, launches: [launch] });
    else known.launches.push(launch);
  }
  return [...kernels.values()];
}

/** Name of each launch's kernel. */
export function kernelNames(step: DeviceStep): readonly string[] {
  const names = new Map(kernelsOf(step).flatMap(({ name, launches }) => launches.map((launch) => [launch, name])));
  return step.launches.map((launch) => names.get(launch)!);
}

/** What templates/cuda/kernels.cu reads; each of `kernels` is also the view of templates/cuda/kernel. */
export interface KernelsView {
  readonly source: string;
  readonly title: string;
  readonly headers: readonly string[];
  readonly kernels: readonly { readonly name: string }[];
}

export function kernelsView(step: DeviceStep, { model, source }: ScheduleNames): KernelsView {
  const { launches, minTokens, maxTokens } = step;
  const range = maxTokens === 1 ? 'one token' : `${minTokens} to ${maxTokens} tokens`;
  const task = step.name === 'sample' ? 'the choice' : 'a step';
  const kernels = kernelsOf(step);
  return {
    source,
    title: `${model}, ${task} of ${range}: ${plural(kernels.length, 'kernel', 'kernels')} for ${plural(launches.length, 'launch', 'launches')}.`,
    headers: [...new Set(launches.map((launch) => launch.header))].sort(),
    kernels: kernels.map(kernelView),
  };
}

function kernelView({ name, body, launches }: Kernel) {
  const { template, constants, map, ...rest } = body;
  const compiledIn = [...(map.length === 0 ? [] : [`${name}_map`]), ...constants];
  const shapes = new Set(launches.map(({ pointers }) => comment(shapesOf(pointers.filter(isHeld)))));
  return {
    ...rest,
    name,
    comments: [
      ...launches.map(({ computes, loc }) =>
        comment(loc === undefined ? computes : `${computes} (${placeOf({ loc })})`),
      ),
      ...shapes,
    ],
    map: map.length === 0 ? [] : [`struct ${name}_map {`, ...map, '};'],
    call: compiledIn.length === 0 ? template : `${template}<${compiledIn.join(', ')}>`,
  };
}

/** All that the text of a kernel depends on but its name. */
interface KernelBody {
  readonly threads: number;
  readonly parameters: string;
  readonly lines: readonly string[];
  readonly map: readonly string[];
  readonly template: string;
  readonly constants: readonly string[];
  readonly args: string;
}

function kernelBody(step: DeviceStep, launch: DeviceLaunch): KernelBody {
  const { map, rows, pointers, scalars, block } = launch;
  const takesTokens = rows.tokens && step.maxTokens > 1;
  const held = pointers.filter(isHeld);
  return {
    threads: block[0] * block[1] * block[2],
    parameters: [
      ...held.map((p) => parameter(p, held)),
      ...(takesTokens ? ['const int* __restrict__ tokens'] : []),
    ].join(', '),
    lines: rows.tokens ? [takesTokens ? 'const int T = *tokens;' : 'constexpr int T = 1;'] : [],
    map: map === undefined ? [] : mapLines(launch, map),
    template: launch.kernel,
    constants: launch.constants.map((constant) => (typeof constant === 'object' ? ints(constant) : String(constant))),
    args: [
      count(rows),
      ...pointers.map((p) => (p.view === null ? 'nullptr' : p.name)),
      ...scalars.map(f64Literal),
    ].join(', '),
  };
}

/** `x f32[T,192], w f32[576,192] → y f32[T,576]`; what is updated in place stands on both sides. */
function shapesOf(held: readonly HeldPointer[]): string {
  const side = (other: DevicePointer['access']): string =>
    held
      .filter(({ access }) => access !== other)
      .map(({ name, view: { dtype, shape } }) => `${name} ${dtype}[${shape.join(',')}]`)
      .join(', ');
  return `${side('write')} → ${side('read')}`.trimStart();
}

/** Kernels may assume that an operand overlaps no other, except where one is written that lies in another's buffer. */
function parameter(p: HeldPointer, all: readonly HeldPointer[]): string {
  const { name, view, access } = p;
  const shared = all.some((other) => other !== p && other.view.buffer === view.buffer && [other, p].some(writes));
  const restrict = access === 'update' || shared ? '' : ' __restrict__';
  return `${access === 'read' ? 'const ' : ''}${deviceType[view.dtype]}*${restrict} ${name}`;
}

/** Body of a type whose `apply` computes the expression for one element. */
function mapLines({ kernel, pointers }: DeviceLaunch, map: NonNullable<DeviceLaunch['map']>): string[] {
  const result = pointers.find(writes)?.view;
  invariant(result != null, `${kernel} writes nothing`);
  const literal = isFloat(result.dtype) ? f32Literal : i32Literal;
  const operands = pointers.filter((p) => p.access === 'read').map((p) => p.name);
  const types = operands.map((_, i) => `class V${i}`).join(', ');
  const parameters = operands.map((operand, i) => `V${i} ${operand}`).join(', ');
  return [
    ...(operands.length === 0 ? [] : [`  template <${types}>`]),
    `  static __device__ auto apply(${parameters}) { return ${expressionBody(map, literal, 'fn::')}; }`,
  ];
}
