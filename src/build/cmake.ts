// Runs cmake-js on a folder of emitted sources: a clean environment, piped output, progress, and the compiler's own words.

import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { debug } from '../support/debug.ts';
import { childEnvironment } from '../support/env.ts';
import { compileAborted, compileFailed } from '../support/errors/build.ts';
import type { OnProgress } from '../support/progress.ts';

export interface CmakeBuild {
  /** Folder with CMakeLists.txt and package.json; `build/` appears in it. */
  readonly folder: string;
  readonly compiler: string;
  /** CMake cache entries. */
  readonly definitions: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: OnProgress | undefined;
}

/**
 * Configures and builds. Starts no download: the emitted package.json makes cmake-js take its headers from a dependency.
 * @throws UltramemError compile-failed with the compiler's error lines, or aborted; an error with the code ENOSPC where the
 * compiler found no room
 */
export async function runCmake(build: CmakeBuild): Promise<void> {
  const require = createRequire(import.meta.url);
  const cmakeJs = join(dirname(require.resolve('cmake-js/package.json')), 'bin', 'cmake-js');
  const definitions = {
    CMAKE_CXX_COMPILER: build.compiler,
    ...build.definitions,
  };
  const args = [
    cmakeJs,
    'build',
    ...['-d', build.folder, '-O', join(build.folder, 'build')],
    ...['-p', String(availableParallelism())],
    ...Object.entries(definitions).map(([name, value]) => `--CD${name}=${value}`),
  ];
  debug(6, () => [process.execPath, ...args].join(' '));
  const { code, output } = await runPiped(args, build);
  debug(6, () => output);
  if (build.signal?.aborted) throw compileAborted(build.signal.reason);
  if (code !== 0 && /No space left on device/i.test(output)) {
    throw Object.assign(new Error(`no space left on the device of ${build.folder}`), { code: 'ENOSPC' });
  }
  if (code !== 0) throw compileFailed(build.compiler, errorLines(output, build.folder), output);
}

function runPiped(args: readonly string[], build: CmakeBuild): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    // A group of its own, so that an abort ends the compilers below cmake as well.
    const child = spawn(process.execPath, args, {
      env: childEnvironment(),
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    const abort = () => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGTERM');
      } catch {
        child.kill();
      }
    };
    build.signal?.addEventListener('abort', abort, { once: true });
    if (build.signal?.aborted) abort();
    let output = '';
    const take = (chunk: string) => {
      output += chunk;
      const done = [...chunk.matchAll(/\[ *(\d+)%\]|\[(\d+)\/(\d+)\]/g)].at(-1);
      const [, percent, steps = percent, total = 100] = done ?? [];
      if (steps !== undefined) build.onProgress?.({ stage: 'compiling', done: Number(steps), total: Number(total) });
    };
    child.stdout.setEncoding('utf8').on('data', take);
    child.stderr.setEncoding('utf8').on('data', take);
    child.on('error', reject);
    child.on('close', (code) => {
      build.signal?.removeEventListener('abort', abort);
      resolve({ code, output });
    });
  });
}

/** The lines that say what is wrong, without the temporary folder's path; the end of the log where none does. */
export function errorLines(output: string, folder: string): string[] {
  const lines = output
    .split('\n')
    .map((line) => line.replaceAll(`${folder}/`, '').trimEnd())
    .filter((line) => line !== '');
  const errors = lines.filter(
    (line) => /\berror\b[: ]|undefined reference|CMake Error|ld: /i.test(line) && !/ OMG /.test(line),
  );
  return errors.length > 0 ? [...new Set(errors)] : lines.slice(-8);
}
