// Texts of the headers that emitted code includes, for readers.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { nativeFolder } from './digest.ts';

/** Texts by path inside `native/`, as `cpu/linear.h`: of these headers, and of those of the same folder that they include. */
export async function readNativeHeaders(paths: Iterable<string>): Promise<ReadonlyMap<string, string>> {
  const texts = new Map<string, string>();
  const wanted = new Set(paths);
  for (const path of wanted) {
    const text = await readFile(join(nativeFolder, path), 'utf8');
    texts.set(path, text);
    for (const other of includesOf(path, text)) wanted.add(other);
  }
  return texts;
}

/** Headers of the same folder that one includes, by their paths inside `native/`. */
const includesOf = (path: string, text: string): string[] =>
  [...text.matchAll(/^#include "(?:[^"]*\/)?([^"/]+)"/gm)].map(([, name]) => `${path.split('/')[0]}/${name}`);
