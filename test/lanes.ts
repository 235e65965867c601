// Long jobs side by side: compiling does not fill the machine, and tests that wait one after another leave cores idle.

import { availableParallelism } from 'node:os';

/**
 * Starts `jobs` in order, as soon as fewer than `lanes` run; gives the promise of job i. Nothing starts before the first result
 * is asked for: all files of a run are imported before their suites run, and suites change the environment that compilers see.
 */
export function inLanes<R>(
  jobs: readonly (() => Promise<R>)[],
  lanes = availableParallelism(),
): (i: number) => Promise<R> {
  let results: readonly Promise<R>[] | undefined;
  const started = (): readonly Promise<R>[] => {
    const starts: (() => void)[] = [];
    const all = jobs.map((job) => new Promise<void>((start) => starts.push(start)).then(job));
    let next = 0;
    const lane = async (): Promise<void> => {
      while (next < jobs.length) {
        const i = next++;
        starts[i]!();
        await all[i]!.catch(() => undefined); // told by the test that awaits it
      }
    };
    for (let n = 0; n < lanes; n++) void lane();
    return all;
  };
  return (i) => (results ??= started())[i]!;
}
