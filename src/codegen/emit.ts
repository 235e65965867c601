// Plan → text of every file of the generated folder. Pure: no disk, no clock, the same bytes for the same plan.

import { printPlan } from '../plan/print.ts';
import type { Plan } from '../plan/types.ts';
import { render } from './render.ts';
import { emitRuntimeClass } from './runtime-class.ts';
import { modelView, schedulesView } from './views/model.ts';
import { prepareView, stepView } from './views/schedule.ts';

/** Path inside the generated folder → text. */
export type Files = ReadonlyMap<string, string>;

/** What is written beside the sources, for readers. */
export interface Companions {
  /** Name of the model's file, for banners. */
  readonly source: string;
  /** The graph as traced and as planned, printed. */
  readonly graphBefore: string;
  readonly graphAfter: string;
}

/** Emits the C++ sources, build files, graphs, plan and runtime class of a model, sorted by path. */
export function emit(plan: Plan, companions: Companions): Files {
  const names = { model: plan.name, source: companions.source };
  const { source } = companions;
  const steps = plan.variants.map((v) => [`step_${v.name}.cc`, render('cpu/schedule.cc', stepView(v, names))] as const);
  const sources = ['model.cc', 'prepare.cc', ...steps.map(([path]) => path)];
  const files: (readonly [string, string])[] = [
    ['prepare.cc', render('cpu/schedule.cc', prepareView(plan.prepare, names))],
    ...steps,
    ['schedules.h', render('cpu/schedules.h', schedulesView(plan, source))],
    ['model.cc', render('cpu/model.cc', modelView(plan, source))],
    ['CMakeLists.txt', render('addon/CMakeLists.txt', { source, name: plan.name, sources })],
    ['package.json', render('addon/package.json', { name: plan.name })],
    ['graph.before.ir', companions.graphBefore],
    ['graph.after.ir', companions.graphAfter],
    ['plan.txt', printPlan(plan)],
    ['model.ts', emitRuntimeClass(plan)],
  ];
  return new Map(files.sort(([a], [b]) => (a < b ? -1 : 1)));
}
