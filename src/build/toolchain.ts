// Which C++ compiler and CMake build the addon, and what identifies them in the cache's key.

import { execFile } from 'node:child_process';
import { stat } from 'node:fs/promises';
import { cpus } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import which from 'which';
import { childEnvironment, readSwitch } from '../support/env.ts';
import { compilerTooOld, compilerUnusable, noCmake, noCompiler, unknownMarch } from '../support/errors/build.ts';
import type { UltramemError } from '../support/errors.ts';
import { sha256 } from './digest.ts';
import { readJsonFile, writeAtomically } from './write-files.ts';

export interface Toolchain {
  /** Absolute path of the C++ compiler. */
  readonly compiler: string;
  /** First line of its --version. */
  readonly version: string;
  /** What the march means to this compiler on this machine: the same identity, the same code. */
  readonly identity: string;
}

/** Oldest versions with the parts of C++20 that the kernels use. */
const oldest = { gcc: 11, clang: 14 } as const;

/** Finds the compiler and asks it what `march` means; answers are kept in `cache` by the program's path, size and time. */
export async function findToolchain(march: string, cache: string): Promise<Toolchain> {
  const compiler = await findCompiler();
  const { size, mtimeMs } = await stat(compiler);
  // A compiler behind a symlink or wrapper changes its own file when updated; `native` also depends on the processor.
  const key = sha256(
    [compiler, size, mtimeMs, march, march === 'native' ? cpus()[0]?.model : '', process.arch].join('\n'),
  );
  const file = join(cache, 'toolchains', `${key.slice(0, 24)}.json`);
  const known = await readJsonFile(file);
  if (isToolchain(known) && known.compiler === compiler) return known;
  const toolchain = await examine(compiler, march);
  // The cache only saves time here; where it cannot be written, building will say so.
  await writeAtomically(file, `${JSON.stringify(toolchain)}\n`).catch(() => undefined);
  return toolchain;
}

/** CXX where it is set, else the first compiler on the PATH. */
async function findCompiler(): Promise<string> {
  const named = readSwitch('CXX');
  const candidates = named === undefined ? ['c++', 'g++', 'clang++'] : [named];
  for (const candidate of candidates) {
    const path = await which(candidate, { nothrow: true });
    if (path !== null) return path;
  }
  throw noCompiler(candidates);
}

/** The path of CMake 3.20 or later; looked for only when something is to be built. */
export async function findCmake(): Promise<string> {
  const path = await which('cmake', { nothrow: true });
  if (path === null) throw noCmake();
  const { stdout } = await run(path, ['--version']);
  const [, major = 0, minor = 0] = (stdout.match(/version (\d+)\.(\d+)/) ?? []).map(Number);
  if (major < 3 || (major === 3 && minor < 20)) throw noCmake(`${path} is ${stdout.split('\n')[0]}`);
  return path;
}

async function examine(compiler: string, march: string): Promise<Toolchain> {
  const { stdout: version } = await run(compiler, ['--version']);
  const { stdout: macros } = await run(compiler, ['-dM', '-E', '-x', 'c++', '/dev/null']);
  const macro = (name: string) => macros.match(new RegExp(`^#define ${name} (.*)$`, 'm'))?.[1];
  const clang = macro('__clang_major__');
  const gcc = macro('__GNUC__');
  if (clang === undefined && gcc === undefined) throw compilerUnusable(compiler, version);
  const [family, major] = clang === undefined ? (['gcc', Number(gcc)] as const) : (['clang', Number(clang)] as const);
  if (major < oldest[family]) {
    throw compilerTooOld(compiler, `${family} ${major}`, `gcc ${oldest.gcc} or clang ${oldest.clang}`);
  }
  const target = await run(compiler, [`-march=${march}`, '-dM', '-E', '-x', 'c++', '/dev/null'], (output) =>
    unknownMarch(march, compiler, output),
  );
  const firstLine = version.trim().split('\n')[0] ?? basename(compiler);
  return { compiler, version: firstLine, identity: sha256(`${firstLine}\n${macros}\n${target.stdout}`) };
}

async function run(
  program: string,
  args: readonly string[],
  refusal = (output: string): UltramemError => compilerUnusable(program, output),
): Promise<{ stdout: string }> {
  try {
    return await promisify(execFile)(program, args, { env: childEnvironment(), timeout: 20_000, maxBuffer: 1 << 24 });
  } catch (cause) {
    throw refusal((cause as { stderr?: string }).stderr ?? String(cause));
  }
}

const isToolchain = (value: unknown): value is Toolchain =>
  typeof value === 'object' &&
  value !== null &&
  (['compiler', 'version', 'identity'] as const).every((k) => typeof (value as Toolchain)[k] === 'string');
