// What every addon holds and no model changes: compiled once per compiler and flags, kept in the cache, and linked from there.

import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { compileFailed } from '../support/errors/build.ts';
import type { OnProgress } from '../support/progress.ts';
import { cachedFile } from './cache.ts';
import { errorLines } from './cmake.ts';
import { nativeFolder, sha256 } from './digest.ts';
import { runProgram } from './run-program.ts';

export interface ObjectBuild {
  readonly compiler: string;
  /** As CMake passes them to the model's own sources. */
  readonly flags: readonly string[];
  /** Of all that an object depends on besides its source's name and the flags. */
  readonly key: string;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: OnProgress | undefined;
}

/**
 * Paths of the objects of these sources of `native/`.
 * @throws UltramemError compile-failed, aborted, folder-not-writable, disk-full
 */
export async function sharedObjects(sources: readonly string[], build: ObjectBuild): Promise<readonly string[]> {
  let done = 0;
  const tell = () => build.onProgress?.({ stage: 'compiling what all models share', done, total: sources.length });
  const one = async (source: string): Promise<string> => {
    const path = await sharedObject(source, build);
    done++;
    tell();
    return path;
  };
  tell();
  // To the end, whichever fails: a compiler that still runs has a folder in the cache.
  const made = await Promise.allSettled(sources.map(one));
  return made.map((object) => {
    if (object.status === 'rejected') throw object.reason;
    return object.value;
  });
}

async function sharedObject(source: string, { compiler, flags, key, signal }: ObjectBuild): Promise<string> {
  const name = `${source.replace(/.*\/|\.cc$/g, '')}.o`;
  const make = async (folder: string): Promise<void> => {
    const args = [
      ...['-std=c++20', '-O3', '-fPIC', '-fvisibility=hidden', ...flags, '-DNAPI_VERSION=8', `-I${nativeFolder}`],
      ...nodeHeaders().flatMap((include) => ['-isystem', include]),
      ...['-c', join(nativeFolder, source), '-o', name],
    ];
    const { code, output } = await runProgram(compiler, args, { cwd: folder, signal });
    if (code === 0) return;
    if (/No space left on device/i.test(output)) {
      throw Object.assign(new Error(`no space left on the device of ${folder}`), { code: 'ENOSPC' });
    }
    throw compileFailed(compiler, errorLines(output, folder), output);
  };
  const digest = sha256(JSON.stringify([source, flags, key]));
  return (await cachedFile(digest, name, make, 'objects')).path;
}

/** Node's own headers, which cmake-js brings, and those of node-addon-api. */
function nodeHeaders(): readonly string[] {
  const require = createRequire(import.meta.url);
  const fromCmakeJs = createRequire(require.resolve('cmake-js/package.json'));
  return [
    join(dirname(fromCmakeJs.resolve('node-api-headers')), 'include'),
    dirname(require.resolve('node-addon-api/package.json')),
  ];
}
