// View of templates/cpu/schedule.cc: one function that runs the launches of prepare or of a step.

import type { Buffer, Schedule, Variant } from '../../plan/types.ts';
import { dtypeBytes } from '../../support/dtype.ts';
import { invariant } from '../../support/errors.ts';
import { comment, elementType } from '../cpp.ts';
import { type LaunchView, launchView } from './launches.ts';

/** Bytes that launches of prepare write between two looks, which also tell how far it has come. */
const LOOK_EVERY = 1 << 20;

/** Launches between two looks at the cancel flag; a step of one token is over before anybody could set it. */
const CANCEL_EVERY = 8;

export interface ScheduleNames {
  readonly model: string;
  readonly source: string;
}

/** What templates/cpu/schedule.cc reads; each of `launches` is also the view of templates/cpu/launch. */
export interface ScheduleView extends Shell {
  readonly source: string;
  readonly headers: readonly string[];
  readonly scratch: readonly string[];
  readonly locals: readonly string[];
  readonly launches: readonly Pick<LaunchView, 'template' | 'header'>[];
}

export function prepareView(schedule: Schedule, names: ScheduleNames): ScheduleView {
  const title = `${names.model}, prepare: ${plural(schedule.launches.length, 'launch', 'launches')}, run once when weights load.`;
  return scheduleView(schedule, names, {
    function: 'prepare',
    argsType: 'PrepareArgs',
    title,
    cancels: false,
    tokens: '',
  });
}

export function stepView(variant: Variant, names: ScheduleNames): ScheduleView {
  const { minTokens, maxTokens } = variant;
  const one = maxTokens === 1;
  const range = one ? 'one token' : `${minTokens} to ${maxTokens} tokens`;
  return scheduleView(variant, names, {
    function: `step_${variant.name}`,
    argsType: 'StepArgs',
    title: `${names.model}, a step of ${range}: ${plural(variant.launches.length, 'launch', 'launches')}, arena of ${variant.bytes.toLocaleString('en-US')} bytes.`,
    cancels: !one,
    tokens: one ? 'constexpr int64_t T = 1;' : `const int64_t T = args.T;  // ${minTokens} to ${maxTokens}`,
  });
}

/** For each launch of prepare the bytes to tell behind it, which it and those before it wrote; 0: no look there. */
function looks({ launches }: Schedule): number[] {
  let written = 0;
  return launches.map(({ writes }) => {
    for (const { dtype, shape } of Object.values(writes)) {
      written += shape.reduce<number>((n, dim) => n * Number(dim), dtypeBytes[dtype]);
    }
    const told = written >= LOOK_EVERY ? written : 0;
    written -= told;
    return told;
  });
}

/** Bytes that prepare tells in all. */
export const prepareWork = (schedule: Schedule): number => looks(schedule).reduce((a, b) => a + b, 0);

interface Shell {
  readonly function: string;
  readonly argsType: 'PrepareArgs' | 'StepArgs';
  readonly title: string;
  readonly cancels: boolean;
  readonly tokens: string;
}

function scheduleView(schedule: Schedule, names: ScheduleNames, shell: Shell): ScheduleView {
  const told = shell.argsType === 'PrepareArgs' ? looks(schedule) : schedule.launches.map(() => 0);
  const launches = schedule.launches.map((launch, i) => ({
    ...launchView(launch),
    locals: schedule.buffers.filter((b) => b.first === i).map((b) => pointerDeclaration(b, shell.argsType)),
    cancelPoint: shell.cancels && i > 0 && i % CANCEL_EVERY === 0,
    look: told[i]! > 0,
    written: String(told[i]),
  }));
  const usesTokens = schedule.launches.some((l) => l.rows.tokens);
  const usesPool = schedule.launches.some((l) => l.kernel !== 'fill');
  return {
    ...shell,
    source: names.source,
    headers: [...new Set(launches.map((l) => l.header))].sort(),
    scratch: ['0', ...new Set(launches.flatMap((l) => (l.scratch === undefined ? [] : [l.scratch])))],
    locals: [
      ...(usesPool ? ['Pool& pool = *args.pool;'] : []),
      ...(usesTokens ? [shell.tokens] : []),
      ...(schedule.buffers.length === 0 ? ['(void)args;'] : []),
    ],
    launches,
  };
}

function pointerDeclaration(buffer: Buffer, argsType: Shell['argsType']): string {
  const { space } = buffer;
  invariant(space !== 'choices' && space !== 'chosen', 'the CPU samples nothing');
  const writable = space !== 'input' && space !== 'weight' && !(space === 'prepared' && argsType === 'StepArgs');
  const type = `${writable ? '' : 'const '}${elementType[buffer.dtype]}*`;
  const address = {
    input: `args.inputs[${buffer.index}]`,
    output: `args.outputs[${buffer.index}]`,
    weight: `args.weights[${buffer.index}]`,
    state: `args.states[${buffer.index}]`,
    prepared: `args.prepared + ${buffer.offset}`,
    scratch: `args.scratch + ${buffer.offset}`,
    arena: `args.arena + ${buffer.offset}`,
  }[space];
  const cast = address.includes('+') ? 'reinterpret_cast' : 'static_cast';
  return `${type} const ${buffer.name} = ${cast}<${type}>(${address});  // ${comment(buffer.holds)}`;
}

export const plural = (n: number, one: string, many: string): string => `${n} ${n === 1 ? one : many}`;
