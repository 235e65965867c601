// A trace's launches, run again thread by thread with all checks on, and what they leave held to what they left then.

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { cachedFile, cacheFolder } from './build/cache.ts';
import { nativeDigest, nativeFolder, sha256 } from './build/digest.ts';
import { type ReadLaunch, type ReadTrace, readTrace } from './build/read-trace.ts';
import { runProgram } from './build/run-program.ts';
import { findToolchain, type Toolchain } from './build/toolchain.ts';
import { emitReplay, type ReplayedKernel } from './codegen/emit-replay.ts';
import { instrumentedFlags, numericFlags } from './codegen/simt-flags.ts';
import { readSwitch } from './support/env.ts';
import { compileFailed } from './support/errors/build.ts';
import { replayFailed } from './support/errors/trace.ts';
import type { OnProgress } from './support/progress.ts';

export interface ReplayOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: OnProgress | undefined;
}

/** A buffer whose bytes came out otherwise. */
export interface Difference {
  readonly buffer: string;
  /** Arguments that point into it. */
  readonly arguments: readonly string[];
  /** Bytes that differ, and the place of the first. */
  readonly bytes: number;
  readonly first: number;
}

export interface ReplayedLaunch {
  readonly kernel: string;
  readonly place: string;
  /** unfinished: no rule was broken now, though one was when the trace was written, so there is nothing to compare. */
  readonly state: 'ok' | 'differs' | 'finding' | 'unfinished';
  readonly differences: readonly Difference[];
  /** What the checks found. */
  readonly findings: readonly string[];
}

export interface Replayed {
  readonly folder: string;
  readonly model: string;
  readonly launches: readonly ReplayedLaunch[];
}

/**
 * Compiles the kernels of the trace in `folder` and runs its launches, each from the memory that it found.
 * The kernels are native code of whoever wrote the trace.
 * @throws UltramemError trace-missing, trace-version, trace-malformed, trace-file, compile-failed, replay-failed, aborted,
 * and those of finding a compiler
 */
export async function replay(folder: string, options: ReplayOptions = {}): Promise<Replayed> {
  options.onProgress?.({ stage: 'reading the trace' });
  const trace = await readTrace(folder);
  const kernels = [...new Map(trace.launches.map(({ kernel, place }) => [kernel, { kernel, place }])).values()];
  options.onProgress?.({ stage: 'compiling' });
  const program = await compileReplay(trace, kernels, options.signal);
  options.onProgress?.({ stage: 'running' });
  const scratch = await mkdtemp(join(tmpdir(), 'ultramem-replay-'));
  try {
    const job = join(scratch, 'job');
    await writeFile(job, jobText(trace, kernels));
    const args = [job, String(availableParallelism())];
    const { code, output } = await runProgram(program, args, { cwd: trace.folder, signal: options.signal });
    const fault = output.match(/^fault (.*)$/m)?.[1];
    if (fault !== undefined) throw replayFailed(trace.folder, fault);
    if (code !== 0) throw replayFailed(trace.folder, `their program ended with ${code ?? 'a signal'}`);
    return { folder: trace.folder, model: trace.model, launches: reports(trace, output) };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** The path of a program with these kernels, from the cache where it was compiled before. */
async function compileReplay(
  { folder, sources, march }: ReadTrace,
  kernels: readonly ReplayedKernel[],
  signal: AbortSignal | undefined,
): Promise<string> {
  const toolchain = await findToolchain(march, cacheFolder());
  const joined = emitReplay(sources, kernels);
  const general = ['-std=c++20', ...numericFlags(march), '-Wno-psabi', '-pthread', ...further()];
  // The preprocessed text holds the kernels with every header of theirs, wherever it was found.
  const read = [...general, ...instrumentedFlags, `-I${folder}`, `-I${native}`];
  const emulator = await compileEmulator(toolchain, general, signal);
  const scratch = await mkdtemp(join(tmpdir(), 'ultramem-replay-'));
  try {
    await writeFile(join(scratch, 'replay-kernels.cc'), joined);
    await compileWith(toolchain, [...read, '-E', '-P', 'replay-kernels.cc', '-o', 'whole'], scratch, signal);
    const text = await readFile(join(scratch, 'whole'), 'utf8');
    const digest = sha256(JSON.stringify(['replay', text, joined, general, nativeDigest(), toolchain.identity]));
    const { path } = await cachedFile(digest, 'replay', async (place) => {
      await writeFile(join(place, 'replay-kernels.cc'), joined);
      await compileWith(toolchain, [...read, '-c', 'replay-kernels.cc', '-o', 'kernels.o'], place, signal);
      await compileWith(toolchain, [...general, 'kernels.o', emulator, '-o', 'replay'], place, signal);
    });
    return path;
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** The path of what every such program has in common, as one object. */
async function compileEmulator(
  toolchain: Toolchain,
  general: readonly string[],
  signal: AbortSignal | undefined,
): Promise<string> {
  const digest = sha256(JSON.stringify(['emulator', general, nativeDigest(), toolchain.identity]));
  const { path } = await cachedFile(digest, 'emulator.o', async (place) => {
    const run = (...args: readonly string[]) => compileWith(toolchain, [...general, ...args], place, signal);
    const compile = (name: string) =>
      run('-O3', `-I${native}`, '-c', join(native, `simt/${name}.cc`), '-o', `${name}.o`);
    await Promise.all([compile('simt'), compile('replay')]);
    await run('-r', 'simt.o', 'replay.o', '-o', 'emulator.o');
  });
  return path;
}

const native = nativeFolder.replace(/\/$/, '');
const further = (): string[] => (readSwitch('CXXFLAGS') ?? '').split(' ').filter((flag) => flag !== '');

async function compileWith(
  { compiler }: Toolchain,
  args: readonly string[],
  cwd: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { code, output } = await runProgram(compiler, args, { cwd, signal });
  if (code === 0) return;
  if (/No space left on device/i.test(output)) {
    throw Object.assign(new Error(`no space left on the device of ${cwd}`), { code: 'ENOSPC' });
  }
  const errors = output.split('\n').filter((line) => /\berror\b/i.test(line));
  throw compileFailed(compiler, errors.length > 0 ? errors : output.split('\n').slice(-8), output);
}

/** What native/simt/replay.cc reads. */
function jobText({ launches }: ReadTrace, kernels: readonly ReplayedKernel[]): string {
  const numbers = new Map(kernels.map(({ kernel }, i) => [kernel, i]));
  const lines = launches.map(({ kernel, grid, block, shared, memory, arguments: operands, finished }) => {
    const after = (piece: ReadLaunch['memory'][number]): string =>
      piece.after ?? (finished && !piece.written ? '-' : '?');
    const pieces = memory.map((piece) => {
      const ranges = piece.unwritten ?? [];
      return [piece.bytes, piece.before, after(piece), ranges.length, ...ranges.flat()].join(' ');
    });
    const places = operands.map(({ buffer, offset }) => `${memory.findIndex((m) => m.buffer === buffer)} ${offset}`);
    const head = [numbers.get(kernel), ...grid, ...block, shared, memory.length, operands.length].join(' ');
    return [head, ...pieces, ...places].join('\n');
  });
  return `${launches.length}\n${lines.join('\n')}\n`;
}

function reports({ launches }: ReadTrace, output: string): ReplayedLaunch[] {
  const said = output.split(/^launch$/m).slice(1);
  return launches.map(({ kernel, place, memory, arguments: operands, finished }, i) => {
    const lines = said[i]?.split('\n') ?? [];
    const findings = lines.flatMap((line) => line.match(/^finding (.*)$/)?.slice(1) ?? []);
    const differences = lines.flatMap((line): Difference[] => {
      const [piece, bytes, first] = (line.match(/^differs (\d+) (\d+) (\d+)$/)?.slice(1) ?? []).map(Number);
      if (piece === undefined || bytes === undefined || first === undefined) return [];
      const { buffer } = memory[piece]!;
      const names = operands.filter((operand) => operand.buffer === buffer).map(({ name }) => name);
      return [{ buffer, arguments: names, bytes, first }];
    });
    const state = findings.length > 0 ? 'finding' : differences.length > 0 ? 'differs' : finished ? 'ok' : 'unfinished';
    return { kernel, place, state, differences, findings };
  });
}
