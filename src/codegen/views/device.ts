// Views of templates/cuda: the kernels of a variant, and the table of its launches.

import type { DeviceLaunch, DevicePointer, DeviceStep } from '../../plan/device/launch.ts';
import { type DevicePlan, deviceSteps } from '../../plan/plans.ts';
import type { Buffer } from '../../plan/types.ts';
import { elementsPerToken } from '../../plan/views.ts';
import { type DType, dtypeBytes, isFloat } from '../../support/dtype.ts';
import { invariant } from '../../support/errors.ts';
import { comment, count, f32Literal, f64Literal, i32Literal, ints, stringLiteral } from '../cpp.ts';
import { expressionBody } from './elementwise.ts';
import { plural, type ScheduleNames } from './schedule.ts';

/** Element types of device code, which includes no headers; f16 and bf16 are types of native/cuda/convert.cuh. */
const deviceType: Readonly<Record<DType, string>> = {
  f32: 'float',
  f16: 'F16',
  bf16: 'BF16',
  i32: 'int',
  i64: 'long long',
};

/** Name of launch `i`: unique among all kernels of a model. */
export const kernelName = (step: Pick<DeviceStep, 'name'>, launch: DeviceLaunch, i: number): string =>
  `${step.name}_${i}_${launch.kernel}`;

/** Line of the model file that a launch comes from. */
export const placeOf = ({ loc }: Pick<DeviceLaunch, 'loc'>): string =>
  loc === undefined ? '' : `${loc.file}:${loc.line}:${loc.column}`;

/** View of templates/cuda/kernels.cu: the kernels of one variant, in the order of their launches. */
export function kernelsView(variant: DeviceStep, { model, source }: ScheduleNames): object {
  const { launches, minTokens, maxTokens } = variant;
  const range = maxTokens === 1 ? 'one token' : `${minTokens} to ${maxTokens} tokens`;
  const task = variant.name === 'sample' ? 'the choice' : 'a step';
  return {
    source,
    title: `${model}, ${task} of ${range}: ${plural(launches.length, 'kernel', 'kernels')}, each launched once, in this order.`,
    headers: [...new Set(launches.map((launch) => launch.header))].sort(),
    kernels: launches.map((launch, i) => kernelView(variant, launch, i)),
  };
}

function kernelView(variant: DeviceStep, launch: DeviceLaunch, i: number): object {
  const name = kernelName(variant, launch, i);
  const { map, rows, pointers, scalars, block, loc } = launch;
  const takesTokens = rows.tokens && variant.maxTokens > 1;
  const held = pointers.filter(isHeld);
  const constants = [
    ...(map === undefined ? [] : [`${name}_map`]),
    ...launch.constants.map((constant) => (typeof constant === 'object' ? ints(constant) : String(constant))),
  ];
  const place = loc === undefined ? '' : ` (${placeOf(launch)})`;
  return {
    comment: comment(`${launch.computes}${place}`),
    shapes: comment(shapesOf(held)),
    name,
    threads: block[0] * block[1] * block[2],
    parameters: [
      ...held.map((p) => parameter(p, held)),
      ...(takesTokens ? ['const int* __restrict__ tokens'] : []),
    ].join(', '),
    lines: rows.tokens ? [takesTokens ? 'const int T = *tokens;' : 'constexpr int T = 1;'] : [],
    map: map === undefined ? [] : mapLines(`${name}_map`, launch, map),
    call: `${launch.kernel}${constants.length === 0 ? '' : `<${constants.join(', ')}>`}`,
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

interface HeldPointer extends DevicePointer {
  readonly view: NonNullable<DevicePointer['view']>;
}

const isHeld = (p: DevicePointer): p is HeldPointer => p.view !== null;

/** Kernels may assume that an operand overlaps no other, except where one is written that lies in another's buffer. */
function parameter(p: HeldPointer, all: readonly HeldPointer[]): string {
  const { name, view, access } = p;
  const shared = all.some((other) => other !== p && other.view.buffer === view.buffer && [other, p].some(writes));
  const restrict = access === 'update' || shared ? '' : ' __restrict__';
  return `${access === 'read' ? 'const ' : ''}${deviceType[view.dtype]}*${restrict} ${name}`;
}

const writes = ({ access }: DevicePointer): boolean => access !== 'read';

/** A type whose `apply` computes the expression for one element. */
function mapLines(name: string, { pointers }: DeviceLaunch, map: NonNullable<DeviceLaunch['map']>): string[] {
  const result = pointers.find(writes)?.view;
  invariant(result != null, `${name} writes nothing`);
  const literal = isFloat(result.dtype) ? f32Literal : i32Literal;
  const operands = pointers.filter((p) => p.access === 'read').map((p) => p.name);
  const types = operands.map((_, i) => `class V${i}`).join(', ');
  const parameters = operands.map((operand, i) => `V${i} ${operand}`).join(', ');
  return [
    `struct ${name} {`,
    ...(operands.length === 0 ? [] : [`  template <${types}>`]),
    `  static __device__ auto apply(${parameters}) { return ${expressionBody(map, literal, 'fn::')}; }`,
    '};',
  ];
}

/** View of templates/cuda/launches.cc: what the host hands to the device, as data. */
export function launchesView(plan: DevicePlan, source: string): object {
  return { source, name: plan.name, variants: deviceSteps(plan).map((step) => launchTable(step, plan)) };
}

/** Bytes to the count that a step's kernels take: how many tokens it has lies there, and behind it how many are to be chosen. */
export const tokensAt = ({ name }: Pick<DeviceStep, 'name'>): number => (name === 'sample' ? 4 : 0);

function launchTable(variant: DeviceStep, plan: DevicePlan): object {
  const buffers = new Map(variant.buffers.map((b) => [b.name, b]));
  const args: string[] = [];
  const launches = variant.launches.map((launch, i) => {
    const first = args.length;
    args.push(...launch.pointers.filter(isHeld).map((p) => argument(p, buffers, plan)));
    const count = tokensAt(variant);
    if (launch.rows.tokens && variant.maxTokens > 1)
      args.push(`{ Space::tokens, 0, ${count}, ${count}, 8, -1, false }`);
    const extent = (of: readonly number[]) => `{ ${of.join(', ')} }`;
    const name = stringLiteral(kernelName(variant, launch, i));
    return `{ ${name}, ${stringLiteral(placeOf(launch))}, ${extent(launch.grid)}, ${extent(launch.block)}, ${launch.shared}, ${first}, ${args.length - first}, ${launch.stream}, ${launch.after ?? -1} }`;
  });
  return {
    name: variant.name,
    launches,
    count: launches.length,
    args: args.length > 0 ? args : ['{ Space::none, 0, 0 }'],
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
    kernels: step.launches.map((launch, i) => ({
      name: kernelName(step, launch, i),
      place: stringLiteral(placeOf(launch)),
    })),
  })),
});
