// Where tests build: one cache for all runs, so that an addon is compiled once, and folders of their own for outputs.

import { mkdirSync, mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../.cache/', import.meta.url));

process.env.ULTRAMEM_CACHE ??= join(root, 'addons');

/** A fresh folder under .cache, which git ignores. */
export function freshFolder(name: string): string {
  const parent = join(root, 'tests');
  mkdirSync(parent, { recursive: true });
  return mkdtempSync(join(parent, `${name}-`));
}
