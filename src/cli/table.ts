// One look for all tables: aligned columns without frames, so that they survive a pipe and a grep.

import type { TableConstructorOptions } from 'cli-table3';

const bare = Object.fromEntries(
  [
    ...['top', 'top-mid', 'top-left', 'top-right', 'bottom', 'bottom-mid', 'bottom-left', 'bottom-right'],
    ...['left', 'left-mid', 'mid', 'mid-mid', 'right', 'right-mid'],
  ].map((place) => [place, '']),
);

/** Options of a table without frames or colours. `right` lists the columns that are aligned to the right. */
export function plainTable(head: readonly string[], right: readonly number[] = []): TableConstructorOptions {
  return {
    head: [...head],
    colAligns: head.map((_, column) => (right.includes(column) ? 'right' : 'left')),
    chars: { ...bare, middle: '  ' },
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
  };
}
