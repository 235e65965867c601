// A program of bench/native, built for this machine.

import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { promisify } from 'node:util';
import { fromRoot } from './paths.ts';

/** The flags that emitted models are built with. */
const flags = ['-std=c++20', '-O3', '-ffp-contract=fast', '-march=native', '-pthread', '-w'];

/**
 * Builds bench/native/<name>.cc with g++ into out/bench and returns its path. Always anew: its kernels may have changed.
 * @throws Error with what the compiler said
 */
export async function buildProgram(name: string): Promise<string> {
  await mkdir(fromRoot('out/bench'), { recursive: true });
  const program = fromRoot(`out/bench/${name}`);
  const sources = [fromRoot(`bench/native/${name}.cc`), fromRoot('native/cpu/pool.cc')];
  try {
    await promisify(execFile)('g++', [...flags, '-I', fromRoot('native/cpu'), ...sources, '-o', program]);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new Error(`no g++ on the PATH; bench/native/${name}.cc is built with it`, { cause: error });
  }
  return program;
}
