// Which batches run when: all decoders at once, taking turns, where their weights and caches fit into memory; else one after another; else not.

import { readFile } from 'node:fs/promises';
import { freemem } from 'node:os';
import { type Kind, kinds } from './shapes.ts';

/** Decoders that hold memory at the same time and take turns in every round. */
export interface Pass {
  readonly kinds: readonly Kind[];
  readonly batches: readonly number[];
}

export interface Skipped {
  readonly batch: number;
  readonly why: string;
}

/** Bytes of memory. */
export interface Needs {
  readonly weights: Readonly<Record<Kind, number>>;
  /** Key and value cache of a sequence. */
  readonly sequence: number;
  /** What may be taken. */
  readonly room: number;
}

export function planPasses(
  batches: readonly number[],
  needs: Needs,
): { readonly passes: readonly Pass[]; readonly skipped: readonly Skipped[] } {
  const { weights, sequence, room } = needs;
  const all = kinds.reduce((sum, kind) => sum + weights[kind], 0);
  const most = Math.max(...Object.values(weights));
  const together = batches.filter((batch) => all + kinds.length * batch * sequence <= room);
  const alone = batches.filter((batch) => !together.includes(batch) && most + batch * sequence <= room);
  const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(1)} GB`;
  const skipped = batches
    .filter((batch) => !together.includes(batch) && !alone.includes(batch))
    .map((batch) => ({
      batch,
      why: `${batch} sequences take ${gigabytes(batch * sequence)} of caches beside ${gigabytes(most)} of weights; ${gigabytes(room)} are free`,
    }));
  const passes = [
    ...(together.length > 0 ? [{ kinds, batches: together }] : []),
    ...(alone.length > 0 ? kinds.map((kind) => ({ kinds: [kind], batches: alone })) : []),
  ];
  return { passes, skipped };
}

/** Bytes of memory that this machine can give, less a reserve. */
export async function freeMemory(): Promise<number> {
  const text = await readFile('/proc/meminfo', 'utf8').catch(() => '');
  const available = /^MemAvailable:\s+(\d+) kB$/m.exec(text)?.[1];
  return (available === undefined ? freemem() : 1024 * Number(available)) - RESERVE;
}

/** For activations, a second copy of a weight while a model loads, and the 1 GiB that the read bandwidth is measured with. */
const RESERVE = 3 * 2 ** 30;
