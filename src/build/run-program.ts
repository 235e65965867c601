// Runs a compiler off the event loop: piped output, a clean environment, and an abort that ends what it started as well.

import { spawn } from 'node:child_process';
import { debug } from '../support/debug.ts';
import { childEnvironment } from '../support/env.ts';
import { compileAborted } from '../support/errors/build.ts';

export interface Ran {
  /** Exit code; null where a signal ended it. */
  readonly code: number | null;
  /** stdout and stderr, as they came. */
  readonly output: string;
}

/** @throws UltramemError aborted; what spawn says where the program cannot be started */
export async function runProgram(
  program: string,
  args: readonly string[],
  options: { readonly cwd: string; readonly signal?: AbortSignal | undefined },
): Promise<Ran> {
  const { cwd, signal } = options;
  if (signal?.aborted) throw compileAborted(signal.reason);
  debug(6, () => [program, ...args].join(' '));
  const ran = await new Promise<Ran>((resolve, reject) => {
    const child = spawn(program, args, {
      cwd,
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
    signal?.addEventListener('abort', abort, { once: true });
    let output = '';
    const take = (chunk: string) => {
      output += chunk;
    };
    child.stdout.setEncoding('utf8').on('data', take);
    child.stderr.setEncoding('utf8').on('data', take);
    const settle = () => signal?.removeEventListener('abort', abort);
    child.on('error', (error) => {
      settle();
      reject(error);
    });
    child.on('close', (code) => {
      settle();
      resolve({ code, output });
    });
  });
  debug(6, () => ran.output);
  if (signal?.aborted) throw compileAborted(signal.reason);
  return ran;
}
