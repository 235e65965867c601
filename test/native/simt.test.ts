// Builds native/simt once and each of its test programs: kernels of a .cu, run and judged by a _test.cc beside it.
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import { readSwitch } from '../../src/support/env.ts';
import { inLanes } from '../lanes.ts';

const run = promisify(execFile);
const native = fileURLToPath(new URL('../../native/', import.meta.url));
const folder = join(native, 'simt/test');
const compiler = readSwitch('CXX') ?? 'g++';
const common = ['-std=c++20', '-Wall', '-Wextra', '-Werror', '-pthread', '-fPIC', `-I${native}`];
const instrumented = ['-O1', '-g', '-fsanitize=thread', '-fno-extern-tls-init'];
// Kernels have pragmas that are nvcc's.
const asKernels = ['-x', 'c++', ...instrumented, '-Wno-unknown-pragmas', '-include', 'simt/cuda.h'];

/** Runs a program; when it fails, throws what it printed. */
async function succeed(program: string, args: string[], timeout: number): Promise<void> {
  try {
    await run(program, args, { timeout, maxBuffer: 1 << 26 });
  } catch (error) {
    const { stdout = '', stderr = '', message } = error as { stdout?: string; stderr?: string; message: string };
    throw new Error(`${message.split('\n', 1)[0]}\n${(stdout + stderr).slice(0, 4000)}`);
  }
}

const names = (await readdir(folder)).filter((name) => name.endsWith('_test.cc')).map((name) => name.slice(0, -8));
const scratch = await mkdtemp(join(tmpdir(), 'ultramem-simt-'));
const compile = (args: string[]): Promise<void> => succeed(compiler, [...common, ...args], 1_200_000);
const emulator = join(scratch, 'simt.o');
const prepared = inLanes([() => compile(['-O2', '-c', join(native, 'simt/simt.cc'), '-o', emulator])]);
const results = inLanes(
  names.sort().map((name) => async () => {
    const program = join(scratch, name);
    await compile([...asKernels, '-c', join(folder, `${name}.cu`), '-o', `${program}.cu.o`]);
    await prepared(0);
    await compile(['-O1', join(folder, `${name}_test.cc`), `${program}.cu.o`, emulator, '-o', program]);
    await succeed(program, [], 600_000);
  }),
);

const test = suite('native/simt');
names.forEach((name, i) => {
  test(name, () => results(i));
});
test.after(() => rm(scratch, { recursive: true, force: true }));
test.run();
