// How long compiling takes as a user meets it: the command from its start to its end, with an empty cache and with a filled one.

import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { median } from 'ultramem/profile';
import { rounded, table } from '../figures.ts';
import { fromRoot } from '../paths.ts';
import type { Measured, Settings } from '../settings.ts';

/** Seconds of each run. */
export interface CompileTime {
  readonly model: string;
  readonly target: 'cpu' | 'cuda';
  readonly cold: readonly number[];
  readonly cached: readonly number[];
}

export interface CompileResults {
  readonly times: readonly CompileTime[];
  /** Whether there is an nvcc, and so the target cuda. */
  readonly nvcc: boolean;
}

const run = promisify(execFile);

const subjects = [
  { model: 'one layer', args: ['examples/layer.ts', '--config', 'bench/layer.json'] },
  { model: 'bytes-lm', args: ['examples/bytes-lm/model.ts'] },
] as const;

/** A cold compilation takes so long that more rounds would tell little. */
const ROUNDS = 3;

/** @throws Error with what the command said, where it fails */
export async function measureCompile({ rounds, progress }: Settings): Promise<Measured<CompileResults>> {
  const nvcc = await run('nvcc', ['--version']).then(
    () => true,
    () => false,
  );
  const targets = nvcc ? (['cpu', 'cuda'] as const) : (['cpu'] as const);
  const times = targets.flatMap((target) =>
    subjects.map(({ model, args }) => ({ model, target, args, cold: [] as number[], cached: [] as number[] })),
  );
  for (let round = 0; round < Math.min(rounds, ROUNDS); round++) {
    for (const { model, target, args, cold, cached } of times) {
      progress(`${model}, ${target}`);
      const folder = await mkdtemp(join(tmpdir(), 'ultramem-bench-'));
      try {
        cold.push(await secondsOf(folder, target, args));
        cached.push(await secondsOf(folder, target, args));
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    }
  }
  const results = times.map(({ args: _, ...time }) => time);
  return { markdown: text(results, nvcc), results: { times: results, nvcc } };
}

/** Of `ultramem compile` with its cache in this folder. */
async function secondsOf(folder: string, target: string, args: readonly string[]): Promise<number> {
  const command = [process.execPath, fromRoot('bin/ultramem.js'), 'compile', ...args, '--target', target];
  const start = performance.now();
  // `env`, so that the switch reaches the command and nothing else.
  await run('env', [`ULTRAMEM_CACHE=${join(folder, 'cache')}`, ...command, '--out', join(folder, 'out'), '--json'], {
    cwd: fromRoot(''),
    maxBuffer: 2 ** 26,
  });
  return (performance.now() - start) / 1000;
}

function text(times: readonly CompileTime[], nvcc: boolean): string {
  const all = (seconds: readonly number[]): string =>
    `${rounded(median(seconds))} (${rounded(Math.min(...seconds))} – ${rounded(Math.max(...seconds))}; ${seconds.length})`;
  const rows = times.map(({ model, target, cold, cached }) => [model, target, all(cold), all(cached)]);
  return `${table(['model', 'target', 'cold, s', 'cached, s'], rows, ['model', 'target'])}

Seconds of \`ultramem compile\`, Node's start included: median (range; runs). Cold: nothing in the cache, nothing known of the compiler.${
    nvcc ? '' : '\nNo nvcc here, so no target cuda.'
  }`;
}
