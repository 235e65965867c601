// The launches of a model's steps, left in a folder for other tools and for `ultramem replay`.

import { resolve } from 'node:path';
import { beginTrace, endTrace } from './build/trace-folder.ts';
import { describeKernels } from './codegen/kernels-json.ts';
import { type Model, translate } from './compile.ts';
import type { Observe } from './runtime/index.ts';
import { invariant } from './support/errors.ts';

/** What the model is compiled with. */
export type TraceOptions = Omit<NonNullable<Parameters<typeof translate>[1]>, 'target'> & { readonly march: string };

export interface Tracing {
  /** For the session on simt whose steps are traced. */
  readonly observe: Observe;
  /** Puts the folder in order, also after a step that failed; how many launches it holds. @throws UltramemError as endTrace */
  end(): Promise<number>;
}

/**
 * Makes the folder for a session of this model on simt, compiled with these options.
 * @throws UltramemError trace-folder-not-empty, folder-not-writable, disk-full, not-a-folder
 */
export async function traceTo(folder: string, model: Model, options: TraceOptions): Promise<Tracing> {
  const path = resolve(folder);
  await beginTrace(path);
  return {
    observe: { trace: path },
    async end() {
      const { plan, files } = translate(model, { ...options, target: 'simt' });
      invariant(plan.target === 'cuda', 'simt runs the plan of a device');
      const { steps } = await endTrace(path, describeKernels(plan), files, options.march);
      return steps.reduce((count, { launches }) => count + launches.length, 0);
    },
  };
}
