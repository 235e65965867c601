// nvcc: what it builds for, fatbins for every architecture, spills and faults told by name. Needs no GPU.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import bytesLm from '../../examples/bytes-lm/model.ts';
import { localDevices } from '../../src/build/cuda-devices.ts';
import { buildFatbins, chooseArchitectures, findNvcc, keepPtx, type Nvcc } from '../../src/build/nvcc.ts';
import { parsePtxas } from '../../src/build/ptxas-report.ts';
import { kernelNames } from '../../src/codegen/views/device-kernels.ts';
import { translate } from '../../src/compile.ts';
import { type DevicePlan, deviceSteps } from '../../src/plan/plans.ts';
import { UltramemError } from '../../src/support/errors.ts';
import type { Progress } from '../../src/support/progress.ts';
import { freshFolder } from '../build-folder.ts';

const test = suite('nvcc');

const reverse = `// Reverses 32 values.
extern "C" __global__ void reverse(float* a) {
  __shared__ float tile[32];
  tile[threadIdx.x] = a[threadIdx.x];
  __syncthreads();
  a[threadIdx.x] = tile[31 - threadIdx.x];
}
`;
const twice = 'extern "C" __global__ void twice(float* a) { a[threadIdx.x] *= 2; }\n';
// 64 live values in the 32 registers that two blocks of 1024 threads leave.
const crowded = `extern "C" __global__ void __launch_bounds__(1024, 2) crowded(float* a, const int* count) {
  const int n = *count;
  float r[64];
  for (int i = 0; i < 64; i++) r[i] = a[i * n + threadIdx.x];
  for (int j = 0; j < n; j++)
    for (int i = 0; i < 64; i++) r[i] = r[i] * r[(i + 7) % 64] + r[(i + 13) % 64];
  for (int i = 0; i < 64; i++) a[i * n + threadIdx.x] = r[i];
}
`;

async function failure(run: () => Promise<unknown>): Promise<UltramemError> {
  try {
    await run();
  } catch (error) {
    assert.instance(error, UltramemError, String(error));
    return error as UltramemError;
  }
  throw new Error('nothing was thrown');
}

function folderWith(files: Readonly<Record<string, string>>): string {
  const folder = freshFolder('nvcc');
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return folder;
}

async function withEnvironment<T>(changes: Record<string, string>, run: () => Promise<T>): Promise<T> {
  const before = Object.keys(changes).map((name) => [name, process.env[name]] as const);
  Object.assign(process.env, changes);
  try {
    return await run();
  } finally {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  }
}

/** A program that answers as nvcc does, with these words. */
function pretender(version: string, codes = 'sm_80\nsm_90\n'): string {
  const home = freshFolder('cuda-home');
  mkdirSync(join(home, 'bin'));
  const answer = (text: string) => `printf '${text.replaceAll('\n', '\\n')}'`;
  const script = `#!/bin/sh\ncase "$1" in --version) ${answer(version)};; *) ${answer(codes)};; esac\n`;
  writeFileSync(join(home, 'bin', 'nvcc'), script, { mode: 0o755 });
  return home;
}

test('what ptxas says is read per kernel and architecture', () => {
  const text = `ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'b' for 'sm_90'
ptxas info    : Function properties for b
    912 bytes stack frame, 1416 bytes spill stores, 1884 bytes spill loads
ptxas info    : Used 32 registers, used 1 barriers, 912 bytes cumulative stack size, 128 bytes smem, 360 bytes cmem[0]
ptxas info    : Compiling entry function 'a' for 'sm_100'
ptxas info    : Function properties for a
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 10 registers, used 0 barriers
ptxas info    : Compiling entry function 'a' for 'sm_90'
ptxas info    : Function properties for a
    16 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Function properties for called_by_a
    8 bytes stack frame, 4 bytes spill stores, 4 bytes spill loads
ptxas info    : Used 12 registers
`;
  assert.equal(parsePtxas(text), [
    { kernel: 'a', arch: 'sm_90', registers: 12, shared: 0, stack: 24, spillStores: 4, spillLoads: 4 },
    { kernel: 'a', arch: 'sm_100', registers: 10, shared: 0, stack: 0, spillStores: 0, spillLoads: 0 },
    { kernel: 'b', arch: 'sm_90', registers: 32, shared: 128, stack: 912, spillStores: 1416, spillLoads: 1884 },
  ]);
});

test('no nvcc, one that does not work, one that is too old', async () => {
  const empty = freshFolder('no-nvcc');
  const find = (home: string) => withEnvironment({ CUDA_HOME: home }, () => failure(findNvcc));
  const absent = await find(empty);
  assert.is(absent.code, 'no-nvcc');
  assert.match(absent.hint!, 'CUDA_HOME');
  assert.is((await find(pretender('no compiler at all'))).code, 'nvcc-unusable');
  assert.is((await find(pretender('Cuda compilation tools, release 11.8, V11.8.89'))).code, 'nvcc-too-old');
});

test('architectures by name, and those of this machine where none is named', async () => {
  const home = pretender('Cuda compilation tools, release 12.8, V12.8.1', 'sm_75\nsm_80\nsm_90\nsm_100\n');
  const nvcc = await withEnvironment({ CUDA_HOME: home }, findNvcc);
  assert.is(nvcc.version, '12.8');
  assert.equal(nvcc.architectures, ['sm_75', 'sm_80', 'sm_90', 'sm_100']);
  const named = ['80', 'sm_90', 'compute_90', '10.0', '80'];
  assert.equal(await chooseArchitectures(nvcc, named), ['sm_80', 'sm_90', 'compute_90', 'sm_100']);
  const unknown = await failure(() => chooseArchitectures(nvcc, ['ms_90']));
  assert.is(unknown.code, 'unknown-arch');
  assert.match(unknown.message, '75, 80, 90, 100');
  assert.match(unknown.message, 'Did you mean "90"?');
  assert.is((await failure(() => chooseArchitectures(nvcc, ['ampere']))).code, 'unknown-arch');
  // A device that this nvcc is too old for gets what PTX there is.
  const path = freshFolder('smi');
  const smi = (...devices: string[]) => {
    const lines = devices.map((device) => `echo '${device}'\n`).join('');
    writeFileSync(join(path, 'nvidia-smi'), `#!/bin/sh\n${lines}`, { mode: 0o755 });
    return withEnvironment({ PATH: `${path}:${process.env.PATH}` }, async () => ({
      devices: await localDevices(),
      chosen: await chooseArchitectures(nvcc),
    }));
  };
  const two = await smi('9.0, 580.65.06, NVIDIA H100', '8.0, 580.65.06, NVIDIA A100', '9.0, 580.65.06, NVIDIA H100');
  assert.equal(two.chosen, ['sm_90', 'sm_80']);
  assert.equal(two.devices[1], { name: 'NVIDIA A100', arch: 'sm_80', driver: '580.65.06' });
  assert.equal((await smi('12.0, 580.65.06, NVIDIA RTX')).chosen, ['sm_80', 'sm_90', 'compute_90']);
  assert.equal((await smi('No devices were found')).devices, []);
});

let nvcc: Nvcc | undefined;
try {
  nvcc = await findNvcc();
} catch (error) {
  if (!(error instanceof UltramemError)) throw error;
  console.log(`[SKIP] building kernels: ${error.message}`);
}

if (nvcc !== undefined) {
  const found = nvcc;

  test('75 to 120, each with its report', async () => {
    const wanted = ['75', '80', '86', '89', '90', '100', '120'];
    const able = wanted.filter((arch) => found.architectures.includes(`sm_${arch}`));
    if (able.length < wanted.length) {
      console.log(`[SKIP] nvcc ${found.version} has only ${able.join(', ')} of ${wanted.join(', ')}`);
    }
    const architectures = await chooseArchitectures(found, [...able, 'compute_90']);
    const folder = folderWith({ 'few.cu': reverse, 'one.cu': twice });
    const keep = join(folder, 'kept');
    const told: Progress[] = [];
    const { fatbins, resources } = await buildFatbins({
      nvcc: found,
      folder,
      sources: ['one.cu', 'few.cu'],
      architectures,
      onProgress: (progress) => told.push(progress),
    });
    assert.equal(
      fatbins.map((path) => basename(path)),
      ['one.fatbin', 'few.fatbin'],
    );
    for (const fatbin of fatbins) assert.is(readFileSync(fatbin).readUInt32LE(0), 0xba55ed50, 'the magic of a fatbin');
    assert.is(resources.length, 2 * able.length);
    for (const { kernel, registers, shared, spillStores, spillLoads } of resources) {
      assert.ok(registers > 0, kernel);
      assert.is(shared, kernel === 'reverse' ? 128 : 0);
      assert.is(spillStores + spillLoads, 0);
    }
    assert.equal(
      told,
      [1, 2].map((done) => ({ stage: 'compiling kernels', done, total: 2 })),
    );
    mkdirSync(keep);
    await keepPtx({ nvcc: found, folder, sources: ['one.cu', 'few.cu'], architectures }, keep);
    assert.match(readFileSync(join(keep, `one.compute_${able[0]}.ptx`), 'utf8'), '.visible .entry twice');
  });

  for (const [precision, tables, architectures] of [
    ['f32', undefined, ['75', '80', '86', '89', '90', '100', '120']],
    ['bf16', undefined, ['75', '80', '120']],
    ['f32', 'int8', ['80']],
    ['bf16', 'fp8', ['80']],
  ] as const) {
    test(`bytes-lm in ${precision}${tables === undefined ? '' : `, tables in ${tables}`} for ${architectures.join(', ')}, every kernel without a spill`, async () => {
      const able = architectures.filter((arch) => found.architectures.includes(`sm_${arch}`));
      const stages = translate(bytesLm, { target: 'cuda', precision, tables });
      const sources = [...stages.files].filter(([path]) => path.endsWith('.cu'));
      const { resources } = await buildFatbins({
        nvcc: found,
        folder: folderWith(Object.fromEntries(sources)),
        sources: sources.map(([path]) => path),
        architectures: await chooseArchitectures(found, able),
      });
      const steps = deviceSteps(stages.plan as DevicePlan);
      const kernels = steps.reduce((count, step) => count + new Set(kernelNames(step)).size, 0);
      assert.is(resources.length, kernels * able.length);
      for (const { kernel, arch, spillStores, spillLoads } of resources) {
        assert.is(spillStores + spillLoads, 0, `${kernel} on ${arch}`);
      }
    });
  }

  const build = (text: string, more: { allowSpills?: string[]; signal?: AbortSignal } = {}) =>
    buildFatbins({
      nvcc: found,
      folder: folderWith({ 'one.cu': text }),
      sources: ['one.cu'],
      architectures: ['sm_80'],
      ...more,
    });

  test('a spill is refused unless its kernel is allowed', async () => {
    const error = await failure(() => build(crowded));
    assert.is(error.code, 'kernel-spills');
    assert.match(error.message, /crowded \(sm_80\): \d+ bytes of stores/);
    assert.match(error.hint!, 'crowded');
    const { resources } = await build(crowded, { allowSpills: ['crowded'] });
    assert.ok(resources[0]!.spillStores > 0);
  });

  test("a source that does not compile gives the compiler's own lines", async () => {
    const error = await failure(() =>
      build('extern "C" __global__ void broken(float* a) { a[0] = nothing_like_it; }\n'),
    );
    assert.is(error.code, 'compile-failed');
    assert.match(error.message, 'one.cu(1): error: identifier "nothing_like_it" is undefined');
    assert.match(error.message, 'a[0] = nothing_like_it');
    const warned = await failure(() => build('extern "C" __global__ void idle(float* a) { int unused; }\n'));
    assert.is(warned.code, 'compile-failed', 'a warning is an error');
    assert.match(warned.message, 'unused');
  });

  test('an abort ends nvcc', async () => {
    const controller = new AbortController();
    const error = failure(() => build(crowded, { signal: controller.signal }));
    setTimeout(() => controller.abort(), 50);
    assert.is((await error).code, 'aborted');
    const early = folderWith({ 'one.cu': twice });
    const never = { nvcc: found, folder: early, sources: ['one.cu'], architectures: ['sm_80'] };
    assert.is((await failure(() => buildFatbins({ ...never, signal: AbortSignal.abort() }))).code, 'aborted');
    assert.not(existsSync(join(early, 'one.fatbin')));
  });
}

test.run();
