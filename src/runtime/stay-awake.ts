// An event loop that has nothing to do sleeps, and waking it takes longer than many a short step: while a step runs that may
// end at once, the loop is kept turning, on a core that nothing else of ours wants.

import { availableParallelism } from 'node:os';

/** Milliseconds; for longer steps a late wake-up costs little. */
const patience = 1;

const cores = availableParallelism();
/** Threads of all steps that run now, of sessions of this thread; a worker thread counts its own. */
let busy = 0;

/** The step's result; the event loop does not sleep meanwhile, at first, where its `threads` leave a core free. */
export async function awake<R>(threads: number, step: Promise<R>): Promise<R> {
  busy += threads;
  const until = performance.now() + patience;
  let running = true;
  const turn = () => {
    if (running && busy < cores && performance.now() < until) setImmediate(turn);
  };
  turn();
  try {
    return await step;
  } finally {
    running = false;
    busy -= threads;
  }
}
