// Long jobs side by side: compiling does not fill the machine, and tests that wait one after another leave cores idle.

/**
 * Runs `jobs` in order, `lanes` at a time; gives the promise of job i. Nothing starts before the first result is asked for:
 * all files of a run are imported before their suites run, and suites change the environment that compilers see.
 */
export function inLanes<R>(jobs: readonly (() => Promise<R>)[], lanes = 2): (i: number) => Promise<R> {
  let results: readonly Promise<R>[] | undefined;
  const started = (): readonly Promise<R>[] => {
    const ends: Promise<unknown>[] = Array.from({ length: lanes }, () => Promise.resolve());
    return jobs.map((job, i) => {
      const result = ends[i % lanes]!.then(job);
      ends[i % lanes] = result.catch(() => undefined); // told by the test that awaits it
      return result;
    });
  };
  return (i) => (results ??= started())[i]!;
}
