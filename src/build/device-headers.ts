// The headers that emitted kernels include, beside them: a folder that needs nothing of ours to be compiled.

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { nativeFolder } from './digest.ts';
import { writeFiles } from './write-files.ts';

/** Copies them to `cuda/` of the folder, where the kernels' own includes find them. */
export async function copyDeviceHeaders(folder: string): Promise<void> {
  const from = join(nativeFolder, 'cuda');
  const names = (await readdir(from)).filter((name) => name.endsWith('.cuh')).sort();
  const texts = await Promise.all(names.map((name) => readFile(join(from, name), 'utf8')));
  await writeFiles(join(folder, 'cuda'), new Map(names.map((name, i) => [name, texts[i]!])));
}
