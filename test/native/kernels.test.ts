// Builds and runs every native/cpu/test/*_test.cc: sanitised for this machine's instructions, and plain for two older ones,
// so that each width of native/cpu/simd.h is tried. A kernel test exits 0 or prints what failed.
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import { readSwitch } from '../../src/support/env.ts';
import { inLanes } from '../lanes.ts';

const run = promisify(execFile);
const folder = fileURLToPath(new URL('../../native/cpu/test/', import.meta.url));
const compiler = readSwitch('CXX') ?? 'g++';
const common = ['-std=c++20', '-Wall', '-Wextra', '-Werror', '-ffp-contract=fast', '-pthread'];
// GCC 12 takes its own intrinsics for uninitialised under a sanitizer.
const sanitizers = ['-fsanitize=address,undefined', '-fno-sanitize-recover=all', '-Wno-maybe-uninitialized'];
const builds = [
  { name: 'native, sanitised', flags: ['-march=native', '-Og', '-g1', ...sanitizers] },
  { name: 'x86-64-v3', flags: ['-march=x86-64-v3', '-O1'] },
  { name: 'x86-64', flags: ['-march=x86-64', '-O1'] },
].filter((build) => process.arch === 'x64' || build.name.startsWith('native'));

// What takes longest to compile is the same in every test.
const headers = [
  'algorithm',
  'atomic',
  'chrono',
  'cmath',
  'condition_variable',
  'cstdio',
  'functional',
  'limits',
  'mutex',
]
  .concat(['numeric', 'random', 'string', 'thread', 'vector'], process.arch === 'x64' ? ['immintrin.h'] : [])
  .map((header) => `#include <${header}>\n`)
  .join('');

/** Runs a program; when it fails, throws what it printed. */
async function succeed(program: string, args: string[], timeout: number): Promise<void> {
  try {
    await run(program, args, { timeout, maxBuffer: 1 << 26 });
  } catch (error) {
    const { stdout = '', stderr = '', message } = error as { stdout?: string; stderr?: string; message: string };
    throw new Error(`${message.split('\n', 1)[0]}\n${(stdout + stderr).slice(0, 4000)}`);
  }
}

const sources = (await readdir(folder)).filter((name) => name.endsWith('_test.cc')).sort();
const scratch = await mkdtemp(join(tmpdir(), 'ultramem-kernels-'));
const prefixes = builds.map((_, b) => join(scratch, `prefix${b}.h`));
const prepared = inLanes(
  builds.map((build, b) => async () => {
    await writeFile(prefixes[b]!, headers);
    await succeed(compiler, [...common, ...build.flags, '-x', 'c++-header', prefixes[b]!], 120_000);
  }),
);
const cases = builds.flatMap((build, b) => sources.map((source) => ({ build, b, source })));
const results = inLanes(
  cases.map(({ build, b, source }) => async () => {
    await prepared(b);
    const program = join(scratch, `${b}-${source.replace('.cc', '')}`);
    await succeed(
      compiler,
      [...common, ...build.flags, '-include', prefixes[b]!, join(folder, source), '-o', program],
      300_000,
    );
    await succeed(program, [], 120_000);
  }),
);

const test = suite('kernels of native/cpu');
cases.forEach(({ build, source }, i) => {
  test(`${source.replace('_test.cc', '')} (${build.name})`, () => results(i));
});
test.after(() => rm(scratch, { recursive: true, force: true }));
test.run();
