// What --memory prints: the estimate from before the weights loaded beside what they took.

import Table from 'cli-table3';
import { Option } from 'commander';
import type { MemoryUse } from '../runtime/index.ts';
import { plainTable } from './table.ts';

export const memoryOption = (): Option =>
  new Option('--memory', 'say what the model takes: estimated before loading, and in the end');

/** Bytes as people read them. */
export const mebibytes = (n: number): string =>
  n >= 2 ** 30
    ? `${(n / 2 ** 30).toFixed(2)} GiB`
    : n >= 2 ** 20
      ? `${(n / 2 ** 20).toFixed(2)} MiB`
      : `${(n / 2 ** 10).toFixed(1)} KiB`;

/** A table of what is taken. */
export function memoryTable({ weights, session, expected, rss }: MemoryUse): string {
  const table = new Table(plainTable(['memory', 'estimate', 'taken', 'in memory now'], [1, 2, 3]));
  const row = (what: string, estimate: number | undefined, taken: number, resident = taken) =>
    table.push([what, estimate === undefined ? '' : mebibytes(estimate), mebibytes(taken), mebibytes(resident)]);
  const { weights: load, session: opened } = expected ?? {};
  row('weights in their file', load?.inFile, weights.inFile, weights.inFileResident);
  row('weights mapped besides', load?.mapped, weights.mapped, weights.mappedResident);
  row('weights converted or given', load?.own, weights.own);
  row('prepared', load?.prepared, weights.prepared);
  if (load !== undefined) table.push(['while loading, besides', mebibytes(load.passing), '', '']);
  if (weights.device > 0) row('weights on the device', undefined, weights.device);
  row('states', opened?.states, session.states);
  row('arena', opened?.arena, session.arena);
  row('scratch of threads', undefined, session.scratch);
  table.push(['the whole process', '', '', mebibytes(rss)]);
  return table.toString();
}
