// The read bandwidth of this machine, measured whenever it is asked for: by a process of its own (native/read-bandwidth.cc), which
// sleeps in between.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { buildProgram } from './native-program.ts';

export interface ReadBandwidth {
  /** Bytes per second of reading 1 GiB in order. */
  measure(): Promise<number>;
  dispose(): void;
}

/** @throws Error where g++ cannot build the program */
export async function openReadBandwidth(threads: number): Promise<ReadBandwidth> {
  const child = spawn(await buildProgram('read-bandwidth'), [`${threads}`], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout });
  const gone = once(child, 'exit').then(([code, signal]) => {
    throw new Error(`read-bandwidth ended with ${signal ?? code}`);
  });
  gone.catch(() => {}); // nobody may be waiting
  return {
    async measure() {
      const line = once(lines, 'line');
      child.stdin.write('\n');
      const [answer] = await Promise.race([line, gone]);
      return (JSON.parse(answer as string) as { read: number }).read;
    },
    dispose: () => child.stdin.end(),
  };
}
