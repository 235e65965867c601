// Runs the real command in a process of its own.

import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const bin = fileURLToPath(new URL('../../bin/ultramem.js', import.meta.url));
export const root = fileURLToPath(new URL('../../', import.meta.url));

export interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
}

const environment = (extra: RunOptions['env'] = {}): NodeJS.ProcessEnv => {
  const { DEBUG: _debug, DUMP: _dump, AFTER: _after, ...rest } = process.env;
  return { ...rest, NO_COLOR: '1', ...extra };
};

/** `ultramem args…`, to its end. */
export function ultramem(args: readonly string[], { cwd = root, env, input = '' }: RunOptions = {}): Ended {
  const { status, stdout, stderr } = spawnSync(process.execPath, [bin, ...args], {
    cwd,
    env: environment(env),
    input,
    encoding: 'utf8',
    timeout: 600_000,
    maxBuffer: 1 << 28,
  });
  return { status, stdout, stderr };
}

/** `ultramem args…`, as a process to talk to. */
export const start = (args: readonly string[], { cwd = root, env }: RunOptions = {}): ReturnType<typeof spawn> =>
  spawn(process.execPath, [bin, ...args], { cwd, env: environment(env), stdio: ['pipe', 'pipe', 'pipe'] });

/** A folder that is gone after `use`. */
export async function inTemporaryFolder<R>(use: (folder: string) => R | Promise<R>): Promise<R> {
  const folder = mkdtempSync(join(tmpdir(), 'ultramem-test-'));
  try {
    return await use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
