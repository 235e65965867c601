// Finds nvcc, says what it can build for, and compiles emitted `.cu` files to fatbins with a report on every kernel.

import { execFile } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import which from 'which';
import { childEnvironment, readSwitch } from '../support/env.ts';
import { compileFailed } from '../support/errors/build.ts';
import { kernelSpills, noNvcc, nvccTooOld, nvccUnusable, unknownArch } from '../support/errors/cuda.ts';
import type { OnProgress } from '../support/progress.ts';
import { localDevices } from './cuda-devices.ts';
import { nativeFolder } from './digest.ts';
import { type KernelResources, parsePtxas } from './ptxas-report.ts';
import { type Ran, runProgram } from './run-program.ts';

export interface Nvcc {
  readonly path: string;
  /** `13.0` */
  readonly version: string;
  /** What stands for it in a cache's key: the same identity, the same code. */
  readonly identity: string;
  /** Device code that it makes: `sm_75`, …, ascending; each has its PTX, `compute_75`. */
  readonly architectures: readonly string[];
}

/** Oldest with C++20. */
const oldest = 12;

const run = promisify(execFile);
const number = (arch: string): number => Number(arch.replace(/\D/g, ''));

/**
 * nvcc of CUDA_HOME where it is set, else of the PATH, else of /usr/local/cuda.
 * @throws UltramemError no-nvcc, nvcc-unusable, nvcc-too-old
 */
export async function findNvcc(): Promise<Nvcc> {
  const home = readSwitch('CUDA_HOME');
  const tried = home === undefined ? ['nvcc', '/usr/local/cuda/bin/nvcc'] : [join(home, 'bin', 'nvcc')];
  for (const candidate of tried) {
    const path = await which(candidate, { nothrow: true });
    if (path !== null) return examine(path);
  }
  throw noNvcc(tried);
}

async function examine(path: string): Promise<Nvcc> {
  const ask = async (question: string): Promise<string> => {
    try {
      return (await run(path, [question], { env: childEnvironment(), timeout: 20_000 })).stdout;
    } catch (cause) {
      throw nvccUnusable(path, (cause as { stderr?: string }).stderr || String(cause));
    }
  };
  const [text, codes] = await Promise.all([ask('--version'), ask('--list-gpu-code')]);
  const version = text.match(/release (\d+\.\d+)/)?.[1];
  const architectures = [...new Set(codes.match(/\bsm_\d+\b/g))].sort((a, b) => number(a) - number(b));
  if (version === undefined || architectures.length === 0) throw nvccUnusable(path, text + codes);
  if (Number.parseInt(version, 10) < oldest) throw nvccTooOld(path, version, `${oldest}.0`);
  return { path, version, identity: text.trim(), architectures };
}

/**
 * What to build for: `named` (`80`, `sm_80` or `compute_80`), else the devices here, else 80, 90 and the PTX of 90.
 * @throws UltramemError unknown-arch
 */
export async function chooseArchitectures(nvcc: Nvcc, named?: readonly string[]): Promise<string[]> {
  if (named !== undefined && named.length > 0) return [...new Set(named.map((arch) => known(nvcc, arch)))];
  const local = [...new Set((await localDevices()).map(({ arch }) => arch))];
  if (local.length > 0 && local.every((arch) => nvcc.architectures.includes(arch))) return local;
  return ['sm_80', 'sm_90', 'compute_90'].filter((arch) => nvcc.architectures.includes(`sm_${number(arch)}`));
}

function known(nvcc: Nvcc, arch: string): string {
  const [, kind = 'sm_', major = '', minor = ''] = arch.trim().match(/^(sm_|compute_)?(\d+)\.?(\d)$/) ?? [];
  if (!nvcc.architectures.includes(`sm_${major}${minor}`)) {
    throw unknownArch(
      arch,
      nvcc.architectures.map((code) => code.slice(3)),
      nvcc.path,
    );
  }
  return `${kind}${major}${minor}`;
}

/** `sm_80` as code of that device, `compute_80` as PTX. */
function generate(arch: string): string[] {
  return ['-gencode', `arch=compute_${number(arch)},code=${arch}`];
}

export interface KernelBuild {
  readonly nvcc: Nvcc;
  /** Folder with the sources; `<name>.fatbin` appears beside `<name>.cu`. */
  readonly folder: string;
  /** File names in the folder, each a `.cu`. */
  readonly sources: readonly string[];
  /** As chooseArchitectures gives them. */
  readonly architectures: readonly string[];
  /** Kernels that may spill. */
  readonly allowSpills?: readonly string[] | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: OnProgress | undefined;
}

export interface BuiltKernels {
  /** Paths, in the order of the sources. */
  readonly fatbins: readonly string[];
  /** Every kernel on every architecture that device code was made for. */
  readonly resources: readonly KernelResources[];
}

/**
 * Compiles each source to a fatbin with code for all architectures; as many at once as there are cores.
 * @throws UltramemError compile-failed with the compiler's lines, kernel-spills, aborted; an error with the code ENOSPC
 */
export async function buildFatbins(build: KernelBuild): Promise<BuiltKernels> {
  const { folder, sources, architectures, allowSpills } = build;
  let done = 0;
  const compiled = await inTurns(sources, async (source) => {
    const fatbin = join(folder, `${basename(source, '.cu')}.fatbin`);
    const args = ['-fatbin', ...flags, '-Xptxas', '-v', ...architectures.flatMap(generate), source, '-o', fatbin];
    const output = await compile(build, args);
    build.onProgress?.({ stage: 'compiling kernels', done: ++done, total: sources.length });
    return { fatbin, resources: parsePtxas(output) };
  });
  const resources = compiled.flatMap((one) => one.resources);
  refuseSpills(resources, allowSpills);
  return { fatbins: compiled.map(({ fatbin }) => fatbin), resources };
}

const flags = ['-std=c++20', `-I${nativeFolder.replace(/\/$/, '')}`, '-Werror', 'all-warnings'] as const;

/** @throws UltramemError kernel-spills where a kernel spills that is not allowed to by its name */
export function refuseSpills(resources: readonly KernelResources[], allowed: readonly string[] = []): void {
  const spills = resources.filter(
    ({ kernel, spillStores, spillLoads }) => spillStores + spillLoads > 0 && !allowed.includes(kernel),
  );
  if (spills.length > 0) throw kernelSpills(spills);
}

/**
 * Leaves the PTX of each source in `to`, as `<name>.<architecture>.ptx`, for the oldest architecture.
 * @throws UltramemError compile-failed, aborted; an error with the code ENOSPC
 */
export async function keepPtx(
  build: Pick<KernelBuild, 'nvcc' | 'folder' | 'sources' | 'architectures' | 'signal'>,
  to: string,
): Promise<void> {
  const arch = `compute_${Math.min(...build.architectures.map(number))}`;
  await inTurns(build.sources, async (source) => {
    const target = join(to, `${basename(source, '.cu')}.${arch}.ptx`);
    await compile(build, ['-ptx', ...flags, `-arch=${arch}`, source, '-o', target]);
  });
}

/** Runs nvcc in the folder; gives what it printed. */
async function compile(
  { nvcc, folder, signal }: Pick<KernelBuild, 'nvcc' | 'folder' | 'signal'>,
  args: readonly string[],
): Promise<string> {
  let ran: Ran;
  try {
    ran = await runProgram(nvcc.path, args, { cwd: folder, signal });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).syscall?.startsWith('spawn')) throw nvccUnusable(nvcc.path, String(cause));
    throw cause;
  }
  if (ran.code === 0) return ran.output;
  if (/No space left on device/i.test(ran.output)) {
    throw Object.assign(new Error(`no space left on the device of ${folder}`), { code: 'ENOSPC' });
  }
  throw compileFailed(nvcc.path, errorLines(ran.output), ran.output);
}

/** The lines that say what is wrong, each with the source line that nvcc shows below it. */
function errorLines(output: string): string[] {
  const lines = output.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('ptxas info'));
  const errors = lines.flatMap((line, i) => {
    if (!/\berror\b[: #]|\bfatal\b|warning #/i.test(line)) return [];
    const shown = lines[i + 1];
    return shown !== undefined && /^ {2,}\S/.test(shown) ? [line, shown] : [line];
  });
  return errors.length > 0 ? [...new Set(errors)] : lines.slice(-8);
}

/** `work` on every item, as many at once as there are cores. After a failure nothing starts, and what runs is waited for. */
async function inTurns<A, R>(items: readonly A[], work: (item: A) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const failures: unknown[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < items.length && failures.length === 0) {
      const i = next++;
      try {
        results[i] = await work(items[i]!);
      } catch (error) {
        failures.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(items.length, availableParallelism()) }, lane));
  if (failures.length > 0) throw failures[0];
  return results;
}
