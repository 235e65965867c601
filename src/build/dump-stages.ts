// DUMP=<folder>: every stage of a compilation as files, for a look at what the compiler did.

import { resolve } from 'node:path';
import { readSwitch } from '../support/env.ts';
import { folderFault } from '../support/errors/build.ts';
import { writeFiles } from './write-files.ts';

/** Writes the files into the folder that DUMP names; nothing where it is unset. */
export async function dumpStages(files: ReadonlyMap<string, string>): Promise<void> {
  const named = readSwitch('DUMP');
  if (named === undefined) return;
  const folder = resolve(named);
  try {
    await writeFiles(folder, files);
  } catch (cause) {
    throw folderFault(folder, 'DUMP folder', cause, 'Set DUMP to a folder that can be written.');
  }
}
