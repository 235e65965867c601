// The source that joins the kernels of a trace to native/simt/replay.cc. Pure.

import { stringLiteral } from './cpp.ts';
import { render } from './render.ts';

/** A kernel of a trace: a C++ identifier, and the line of the model that it comes from. */
export interface ReplayedKernel {
  readonly kernel: string;
  readonly place: string;
}

/** `sources` are files that the includes find; `kernels` are functions of theirs, in the order that a job counts them. */
export const emitReplay = (sources: readonly string[], kernels: readonly ReplayedKernel[]): string =>
  render('cuda/replay.cc', {
    sources,
    kernels: kernels.map(({ kernel, place }) => ({ name: kernel, place: stringLiteral(place) })),
    count: kernels.length,
  });
