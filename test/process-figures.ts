// What a process holds, as the system says it (Linux).

import { readdirSync, readFileSync } from 'node:fs';

export interface ProcessFigures {
  /** Pages in memory, in bytes; those of mapped files apart. */
  readonly rss: number;
  readonly mappedFiles: number;
  /** Of V8: objects, and what it is told of. */
  readonly heap: number;
  readonly external: number;
  readonly files: number;
  readonly threads: number;
  readonly mappings: number;
  /** Address space, in bytes. */
  readonly addresses: number;
}

export function processFigures(): ProcessFigures {
  const status = readFileSync('/proc/self/status', 'utf8');
  const kilobytes = (name: string): number => 1024 * Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)![1]);
  const { heapUsed, external } = process.memoryUsage();
  return {
    rss: kilobytes('RssAnon'),
    mappedFiles: kilobytes('RssFile'),
    heap: heapUsed,
    external,
    files: readdirSync('/proc/self/fd').length,
    threads: readdirSync('/proc/self/task').length,
    mappings: mappings().length,
    addresses: kilobytes('VmSize'),
  };
}

/** Lines of /proc/self/maps. */
export const mappings = (): string[] => readFileSync('/proc/self/maps', 'utf8').trimEnd().split('\n');

/** Whether a file is mapped. */
export const isMapped = (path: string): boolean => mappings().some((line) => line.endsWith(` ${path}`));
