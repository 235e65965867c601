// Plan → text of every file of the generated folder. Pure: no disk, no clock, the same bytes for the same plan.

import { type CpuPlan, type DevicePlan, deviceSteps, type Plan } from '../plan/plans.ts';
import { printPlan } from '../plan/print.ts';
import { render } from './render.ts';
import { emitRuntimeClass } from './runtime-class.ts';
import { instrumentedFlags, numericFlags } from './simt-flags.ts';
import { kernelsView } from './views/device-kernels.ts';
import { launchesView, simtView } from './views/device-launches.ts';
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

type File = readonly [path: string, text: string];

/** What runs the kernels of a device plan: a GPU, or the CPU thread by thread. */
export type Backend = 'cuda' | 'simt';

/** Emits the sources, build files, graphs, plan and runtime class of a model, sorted by path. */
export function emit(plan: Plan, companions: Companions, backend: Backend = 'simt'): Files {
  const { source } = companions;
  const names = { model: plan.name, source };
  const steps = plan.target === 'cpu' ? cpuFiles(plan, source) : deviceFiles(plan, source, backend);
  const sources = ['model.cc', 'prepare.cc', ...steps.sources];
  const files: File[] = [
    ['prepare.cc', render('cpu/schedule.cc', prepareView(plan.prepare, names))],
    ...steps.files,
    ['schedules.h', render('cpu/schedules.h', schedulesView(plan, source))],
    ['model.cc', render('cpu/model.cc', modelView(plan, source))],
    [
      'CMakeLists.txt',
      render('addon/CMakeLists.txt', {
        source,
        name: plan.name,
        sources,
        instrumented: steps.instrumented,
        // biome-ignore lint/suspicious/noTemplateCurlyInString: CMake fills it in
        numeric: numericFlags('${ULTRAMEM_MARCH}').join(' '),
        instrumentation: instrumentedFlags.join(';'),
        embedsKernels: plan.target === 'cuda' && backend === 'cuda',
      }),
    ],
    ['package.json', render('addon/package.json', { name: plan.name })],
    ['graph.before.ir', companions.graphBefore],
    ['graph.after.ir', companions.graphAfter],
    ['plan.txt', printPlan(plan)],
    ['model.ts', emitRuntimeClass(plan)],
  ];
  return new Map(files.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Files of the steps; `sources` are compiled, `instrumented` ones among them with calls at every access to memory. */
interface Steps {
  readonly files: readonly File[];
  readonly sources: readonly string[];
  readonly instrumented: readonly string[];
}

function cpuFiles(plan: CpuPlan, source: string): Steps {
  const names = { model: plan.name, source };
  const files = plan.variants.map((v): File => [`step_${v.name}.cc`, render('cpu/schedule.cc', stepView(v, names))]);
  return { files, sources: files.map(([path]) => path), instrumented: [] };
}

function deviceFiles(plan: DevicePlan, source: string, backend: Backend): Steps {
  const names = { model: plan.name, source };
  const steps = deviceSteps(plan);
  const kernels = steps.map((s): File => [`step_${s.name}.cu`, render('cuda/kernels.cu', kernelsView(s, names))]);
  const variants = steps.map(({ name }) => name);
  const host: File[] = [
    ['launches.cc', render('cuda/launches.cc', launchesView(plan, source))],
    ['device.cc', render(backend === 'cuda' ? 'cuda/cuda-device.cc' : 'cuda/simt-device.cc', { source, variants })],
  ];
  const sources = host.map(([path]) => path);
  if (backend === 'cuda') return { files: [...kernels, ...host], sources, instrumented: [] };
  const simt: File = ['simt.cc', render('cuda/simt.cc', simtView(steps, source))];
  return { files: [...kernels, ...host, simt], sources: [...sources, 'simt.cc'], instrumented: ['simt.cc'] };
}
