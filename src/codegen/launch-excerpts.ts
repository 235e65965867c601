// Where in the emitted sources each launch of a plan stands: its own lines, and on a device those of the kernel that it starts.

import { type DevicePlan, deviceSteps, type Plan } from '../plan/plans.ts';
import { invariant } from '../support/errors.ts';
import type { Files } from './emit.ts';
import { render } from './render.ts';
import { kernelNames, kernelsView } from './views/device-kernels.ts';
import { launchTable } from './views/device-launches.ts';
import { prepareView, type ScheduleView, stepView } from './views/schedule.ts';

/** Lines of an emitted file. */
export interface Excerpt {
  readonly file: string;
  /** Number of the first line, from 1. */
  readonly line: number;
  readonly text: string;
}

/** What was emitted for a launch. */
export interface EmittedLaunch {
  readonly excerpts: readonly Excerpt[];
  /** The header of native/ with its algorithm: `cpu/linear.h`. */
  readonly header: string;
  /** The function of the header that it calls. */
  readonly calls: string;
}

/** Every launch of `prepare` and of the steps, by the name of these; `files` is what `emit` gave for the plan and the source's name. */
export function launchExcerpts(
  plan: Plan,
  files: Files,
  source: string,
): ReadonlyMap<string, readonly EmittedLaunch[]> {
  const names = { model: plan.name, source };
  const prepare = ['prepare', hostLaunches(prepareView(plan.prepare, names), 'prepare.cc', files)] as const;
  if (plan.target === 'cuda') return new Map([prepare, ...deviceLaunches(plan, files, source)]);
  const steps = plan.variants.map(
    (v) => [v.name, hostLaunches(stepView(v, names), `step_${v.name}.cc`, files)] as const,
  );
  return new Map([prepare, ...steps]);
}

function hostLaunches({ launches }: ScheduleView, file: string, files: Files): EmittedLaunch[] {
  const text = textOf(files, file);
  let from = 0;
  return launches.map((view) => {
    const own = render('cpu/launch', view);
    const excerpt = excerptAt(file, text, own, from);
    from = excerpt.end;
    const call = render(view.template, view);
    return { excerpts: [excerpt.lines], header: `cpu/${view.header}.h`, calls: calledBy(call) };
  });
}

function deviceLaunches(plan: DevicePlan, files: Files, source: string): [string, EmittedLaunch[]][] {
  return deviceSteps(plan).map((step) => {
    const file = `step_${step.name}.cu`;
    const text = textOf(files, file);
    let from = 0;
    const kernels = new Map(
      kernelsView(step, { model: plan.name, source }).kernels.map((view) => {
        const excerpt = excerptAt(file, text, render('cuda/kernel', view), from);
        from = excerpt.end;
        return [view.name, excerpt.lines] as const;
      }),
    );
    const { args, launches: rows, own } = launchTable(step, plan);
    const table = textOf(files, 'launches.cc').split('\n');
    /** Rows of one of the step's tables, by the line that opens it. */
    const lines = (opens: string, first: number, taken: readonly string[]): Excerpt => {
      const line = table.findIndex((one) => one.startsWith(opens)) + 1 + first;
      const shown = table.slice(line, line + taken.length);
      invariant(
        shown.every((one, i) => one.trim() === `${taken[i]},`),
        `launches.cc has other rows than ${opens}`,
      );
      return { file: 'launches.cc', line: line + 1, text: shown.join('\n') };
    };
    const names = kernelNames(step);
    const launches = step.launches.map(({ kernel, header }, i): EmittedLaunch => {
      const { first, count } = own[i]!;
      const row = lines(`static const LaunchSpec launches_${step.name}[]`, i, [rows[i]!]);
      const arguments_ = lines(`static const ArgSpec args_${step.name}[]`, first, args.slice(first, first + count));
      return { excerpts: [kernels.get(names[i]!)!, row, arguments_], header: `cuda/${header}.cuh`, calls: kernel };
    });
    return [step.name, launches];
  });
}

function textOf(files: Files, file: string): string {
  const text = files.get(file);
  invariant(text !== undefined, `${file} was not emitted`);
  return text;
}

/** The place of `own`, whole lines, in a file's text from an offset on. */
function excerptAt(file: string, text: string, own: string, from: number): { lines: Excerpt; end: number } {
  const at = text.indexOf(own, from);
  invariant(at >= 0, `${file} does not hold what was rendered for one of its launches`);
  const line = text.slice(0, at).split('\n').length;
  return { lines: { file, line, text: own.trimEnd() }, end: at + own.length };
}

/** The function that emitted C++ calls: the first name before a parenthesis or template arguments. */
const calledBy = (text: string): string => /^\s*(\w+)\s*[<(]/m.exec(text)?.[1] ?? '';
