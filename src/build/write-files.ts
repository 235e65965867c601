// Writing: only what differs, and never half a file.

import { randomBytes } from 'node:crypto';
import { copyFile, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** A name beside `path` that no other process uses. */
const beside = (path: string): string => `${path}.${process.pid}.${randomBytes(4).toString('hex')}.tmp`;

/** Writes a whole file under a temporary name and renames it; creates the folder. */
export async function writeAtomically(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await viaTemporary(path, (temporary) => writeFile(temporary, text));
}

/** Copies a file likewise; a copy that is loaded at the moment keeps its old content until it is loaded again. */
export async function copyAtomically(from: string, to: string): Promise<void> {
  const [source, target] = await Promise.all([readFile(from), readFile(to).catch(() => undefined)]);
  if (target?.equals(source)) return;
  await mkdir(dirname(to), { recursive: true });
  await viaTemporary(to, (temporary) => copyFile(from, temporary));
}

async function viaTemporary(path: string, write: (temporary: string) => Promise<void>): Promise<void> {
  const temporary = beside(path);
  try {
    await write(temporary);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** Writes those files whose text differs from what is there; returns their paths. */
export async function writeFiles(folder: string, files: ReadonlyMap<string, string>): Promise<readonly string[]> {
  await mkdir(folder, { recursive: true });
  const written: string[] = [];
  for (const [name, text] of files) {
    const path = join(folder, name);
    const there = await readFile(path, 'utf8').catch(() => undefined);
    if (there === text) continue;
    await writeAtomically(path, text);
    written.push(name);
  }
  return written;
}

/** Parsed JSON of a file; undefined where it is absent or broken. */
export async function readJsonFile(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8'));
  } catch {
    return undefined;
  }
}
