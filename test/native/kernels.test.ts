// Builds and runs every native/cpu/test/*_test.cc: sanitised for this machine's instructions, and plain for two older ones,
// so that each width of native/cpu/simd.h is tried. A kernel test exits 0 or prints what failed.
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import { readSwitch } from '../../src/support/env.ts';
import { inLanes } from '../lanes.ts';

const run = promisify(execFile);
const native = fileURLToPath(new URL('../../native/cpu', import.meta.url));
const tests = join(native, 'test');
const compiler = readSwitch('CXX') ?? 'g++';
const common = ['-std=c++20', '-Wall', '-Wextra', '-Werror', '-ffp-contract=fast', '-pthread'];
// GCC 12 takes its own intrinsics for uninitialised under a sanitizer.
const sanitizers = ['-fsanitize=address,undefined', '-fno-sanitize-recover=all', '-Wno-maybe-uninitialized'];
const builds = [
  { name: 'native, sanitised', flags: ['-march=native', '-Og', '-g1', ...sanitizers] },
  { name: 'x86-64-v3', flags: ['-march=x86-64-v3', '-O1'] },
  { name: 'x86-64', flags: ['-march=x86-64', '-O1'] },
].filter((build) => process.arch === 'x64' || build.name.startsWith('native'));

/** Runs a program; when it fails, throws what it printed. */
async function succeed(program: string, args: string[], timeout: number): Promise<void> {
  try {
    await run(program, args, { timeout, maxBuffer: 1 << 26 });
  } catch (error) {
    const { stdout = '', stderr = '', message } = error as { stdout?: string; stderr?: string; message: string };
    throw new Error(`${message.split('\n', 1)[0]}\n${(stdout + stderr).slice(0, 4000)}`);
  }
}

const sources = (await readdir(tests)).filter((name) => name.endsWith('_test.cc')).sort();
const nameOf = (source: string): string => source.replace('_test.cc', '');

/** All tests as one source, each in a namespace of its own, as most of a compiler's time is for headers; the program's argument names one. */
async function wholeSource(): Promise<string> {
  const texts = await Promise.all(sources.map((source) => readFile(join(tests, source), 'utf8')));
  const kernels = (await readdir(native))
    .filter((name) => name.endsWith('.h'))
    .map((name) => `"${join(native, name)}"`);
  const headers = new Set(texts.flatMap((text) => text.match(/(?<=^#include )<.*>/gm) ?? []));
  return [
    ...[...headers, ...kernels, `"${join(tests, 'check.h')}"`].map((header) => `#include ${header}`),
    ...sources.map((source) => `namespace ${nameOf(source)}_test {\n#include "${join(tests, source)}"\n}`),
    'int main(int, char** argv) {',
    '  const std::string name = argv[1];',
    ...sources.map(nameOf).map((name) => `  if (name == "${name}") return ${name}_test::main();`),
    '  return 2;',
    '}\n',
  ].join('\n');
}

const scratch = await mkdtemp(join(tmpdir(), 'ultramem-kernels-'));
const whole = join(scratch, 'whole.cc');
await writeFile(whole, await wholeSource());
await writeFile(whole, await wholeSource());
const program = (b: number): string => join(scratch, `program${b}`);
const build =
  ({ flags }: (typeof builds)[number], b: number) =>
  (): Promise<void> =>
    succeed(compiler, [...common, ...flags, whole, join(native, 'pool.cc'), '-o', program(b)], 1_200_000);
const built = inLanes(builds.map(build));
const cases = builds.flatMap(({ name }, b) => sources.map((source) => ({ name: nameOf(source), build: name, b })));
const results = inLanes(
  cases.map(({ name, b }) => async () => {
    await built(b);
    await succeed(program(b), [name], 600_000);
  }),
);

const test = suite('kernels of native/cpu');
cases.forEach(({ name, build }, i) => {
  test(`${name} (${build})`, () => results(i));
});
test.after(() => rm(scratch, { recursive: true, force: true }));
test.run();
