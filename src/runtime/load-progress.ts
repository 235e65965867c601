// What a load tells while it runs.

import type { OnProgress, Progress } from '../support/progress.ts';

/** Milliseconds between two looks at a load. */
const interval = 100;

/**
 * Tells of a load at its beginning, whenever a look finds that it has come on, and once, with all done, at its end. What `onProgress`
 * throws ends the load by `cancel`, and is thrown in place of what comes of it.
 * @param look how far it has come; done of total are bytes of everything that it goes through
 */
export async function followLoad<R>(
  load: () => Promise<R>,
  look: () => Required<Progress>,
  cancel: () => void,
  onProgress: OnProgress | undefined,
): Promise<R> {
  if (onProgress === undefined) return load();
  let thrown: { readonly error: unknown } | undefined;
  let told = 0;
  const tell = (progress: Progress): void => {
    if (thrown !== undefined) return;
    try {
      onProgress(progress);
    } catch (error) {
      thrown = { error };
      cancel();
    }
  };
  const tellMore = (): void => {
    const progress = look();
    if (progress.done <= told || progress.done >= progress.total) return;
    told = progress.done;
    tell(progress);
  };
  const loading = load();
  const begun = look();
  const total = Math.max(1, begun.total);
  tell({ ...begun, done: 0, total });
  const timer = setInterval(tellMore, interval);
  try {
    const loaded = await loading;
    tell({ ...look(), done: total, total });
    if (thrown === undefined) return loaded;
  } catch (error) {
    if (thrown === undefined) throw error;
  } finally {
    clearInterval(timer);
  }
  throw thrown.error;
}
