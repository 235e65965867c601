// native/addon/cuda_device.h over a driver that notes its calls: their order, graphs captured once, every fault by its name,
// and everything given back whichever call fails. Needs no GPU.

import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { childEnvironment, readSwitch } from '../../src/support/env.ts';
import { freshFolder } from '../build-folder.ts';
import { inLanes } from '../lanes.ts';

const run = promisify(execFile);
const here = fileURLToPath(new URL('.', import.meta.url));
const native = fileURLToPath(new URL('../../native', import.meta.url));
const folder = freshFolder('cuda-device');
const program = join(folder, 'program');
const compiler = readSwitch('CXX') ?? 'g++';
const common = ['-std=c++20', '-Wall', '-Wextra', '-Werror', '-g1'];

/** Folders of libraries, each with its own kind of driver. */
const drivers = { whole: join(folder, 'whole'), older: join(folder, 'older'), broken: join(folder, 'broken') };

const library = (where: string, flags: readonly string[]) =>
  run(compiler, [
    ...common,
    '-shared',
    '-fPIC',
    ...flags,
    join(here, 'fake-cuda.cc'),
    '-o',
    join(where, 'libcuda.so.1'),
  ]);

const test = suite('CUDA device');

test.before(async () => {
  for (const path of Object.values(drivers)) mkdirSync(path);
  writeFileSync(join(drivers.broken, 'libcuda.so.1'), 'no library');
  const sanitizers = ['-fsanitize=address,undefined', '-fno-sanitize-recover=all'];
  const jobs = [
    () => run(compiler, [...common, ...sanitizers, `-I${native}`, join(here, 'cuda-device.cc'), '-o', program, '-ldl']),
    () => library(drivers.whole, []),
    () => library(drivers.older, ['-DWITHOUT_GRAPH_LAUNCH']),
  ];
  const compiled = inLanes(jobs);
  await Promise.all(jobs.map((_, i) => compiled(i)));
});

let runs = 0;

interface Outcome {
  readonly said: string;
  /** Calls of the driver, and what was left at the end. */
  readonly calls: readonly string[];
  readonly left: readonly string[];
}

async function outcome(
  mode = 'plain',
  fake: Readonly<Record<string, string>> = {},
  at = drivers.whole,
): Promise<Outcome> {
  const log = join(folder, `log-${runs++}`);
  const env = childEnvironment({ LD_LIBRARY_PATH: at, FAKE_LOG: log, ...fake });
  const { stdout } = await run(program, [mode], { env, timeout: 60_000 });
  const lines = existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : [];
  return {
    said: stdout.trim(),
    calls: lines.filter((line) => !line.startsWith('left ')),
    left: lines.filter((line) => line.startsWith('left ')),
  };
}

const contextCalls = /^cuCtx(Push|Pop)Current$/;

test('the calls of two sessions', async () => {
  const { said, calls, left } = await outcome();
  assert.is(said, 'right');
  assert.equal(left, []);
  const first = 'cuLaunchKernel add_first 4,2,1 32,1,1 0';
  const second = 'cuLaunchKernel add_second 1,1,1 64,2,1 65536';
  const capture = (launches: string[]) => [
    'cuStreamBeginCapture',
    ...launches,
    'cuStreamEndCapture',
    'cuGraphInstantiate',
    'cuGraphDestroy',
  ];
  const replay = ['cuGraphLaunch', 'cuStreamSynchronize'];
  const session = (functions: string[]) => [
    ...['cuMemAlloc', 'cuMemAlloc', 'cuMemsetD8Async'],
    // 1200 bytes and 4 through 512 of pinned memory.
    ...['cuMemcpyHtoDAsync 512', 'cuStreamSynchronize', 'cuMemcpyHtoDAsync 512', 'cuStreamSynchronize'],
    ...['cuMemcpyHtoDAsync 176', 'cuMemcpyHtoDAsync 4'],
    ...functions,
    ...[...capture([first, second]), ...replay],
    ...[...capture([second]), ...replay],
    ...[...replay, ...replay],
    ...['cuMemcpyDtoHAsync 512', 'cuStreamSynchronize', 'cuMemcpyDtoHAsync 512', 'cuStreamSynchronize'],
    ...['cuMemcpyDtoHAsync 176', 'cuStreamSynchronize'],
    ...['cuGraphExecDestroy', 'cuGraphExecDestroy', 'cuMemFree', 'cuMemFree'],
  ];
  assert.equal(
    calls.filter((line) => !contextCalls.test(line)),
    [
      ...[
        'cuInit',
        'cuDeviceGetCount',
        'cuDeviceGet',
        'cuDeviceGetName',
        'cuDeviceGetAttribute',
        'cuDeviceGetAttribute',
      ],
      ...['cuDevicePrimaryCtxRetain', 'cuModuleLoadData', 'cuModuleLoadData', 'cuStreamCreate', 'cuMemHostAlloc'],
      ...session([
        'cuModuleGetFunction add_first',
        ...['cuModuleGetFunction add_second', 'cuModuleGetFunction add_second'],
        'cuFuncSetAttribute 65536',
      ]),
      ...session([]),
      ...['cuStreamSynchronize', 'cuMemFreeHost', 'cuStreamDestroy', 'cuModuleUnload', 'cuModuleUnload'],
      'cuDevicePrimaryCtxRelease',
    ],
  );
});

test('a step that chooses tokens brings back nothing else', async () => {
  const { said, calls, left } = await outcome('sampled');
  assert.is(said, 'right');
  assert.equal(left, []);
  const moves = calls.filter((line) => /^cu(Memcpy|Graph(Launch|Instantiate)|MemAlloc)/.test(line));
  const first = moves.findIndex((line) => line.startsWith('cuMemcpy'));
  // The counts of tokens and choices, the choices, the ids; then the step and the choice, as graphs.
  const [up, down] = ['cuMemcpyHtoDAsync', 'cuMemcpyDtoHAsync'];
  const [prepare, run] = ['cuGraphInstantiate', 'cuGraphLaunch'];
  assert.equal(moves.slice(first), [
    ...[`${up} 8`, `${up} 48`, `${up} 4`, prepare, run, prepare, run, `${down} 4`],
    ...[`${up} 8`, `${up} 96`, `${up} 12`, prepare, run, run, `${down} 8`],
    ...[`${up} 8`, `${up} 4`, run],
    ...[`${up} 8`, `${up} 4`, run, `${down} 400`],
  ]);
});

test('whichever call fails, the fault says so and all is given back', async () => {
  const { calls } = await outcome();
  const gives = /^cu(CtxPop|MemFree|StreamDestroy|ModuleUnload|Graph(Exec)?Destroy|DevicePrimaryCtxRelease)/;
  // The last wait belongs to closing, which has nobody to tell; entering the context for giving something back likewise.
  const lastWait = calls.lastIndexOf('cuStreamSynchronize');
  // Who cannot enter a context cannot give back what is in it.
  const may = (call: string): Record<string, string> =>
    call === 'cuCtxPushCurrent' ? { ASAN_OPTIONS: 'detect_leaks=0' } : {};
  const outcomes = inLanes(calls.map((call, i) => () => outcome('plain', { FAKE_FAIL: `#${i}=719`, ...may(call) })));
  let faults = 0;
  for (const [i, call] of calls.entries()) {
    const { said, left } = await outcomes(i);
    const which = `call ${i}, ${call}: ${said}`;
    const quiet = gives.test(call) || i === lastWait || (call === 'cuCtxPushCurrent' && gives.test(calls[i + 1]!));
    if (quiet || (call === 'cuCtxPushCurrent' && i > lastWait - 2)) {
      assert.is(said, 'right', which);
    } else {
      faults++;
      assert.match(
        said,
        /^fault cuda-failed \[.*\] CUDA_ERROR_LAUNCH_FAILED \(unspecified launch failure\) while \w+/,
        which,
      );
      const kernel = call.match(/^cu(?:LaunchKernel|ModuleGetFunction) (\w+)/)?.[1];
      if (kernel !== undefined) {
        assert.match(said, `[${kernel}]`, which);
        assert.match(said, `kernel ${kernel} (model.ts:${kernel === 'add_first' ? '3:1' : '4:9'})`, which);
      }
    }
    if (call !== 'cuCtxPushCurrent') assert.equal(left, [], which);
  }
  assert.ok(faults > 40, `${faults} faults`);
});

test('a cancelled step asks nothing of the device', async () => {
  const { said, calls, left } = await outcome('cancelled');
  assert.match(said, /^fault aborted /);
  assert.not(calls.some((line) => /Graph|Launch|Capture/.test(line)));
  assert.equal(left, []);
});

test('one launch after another, each waited for, names the kernel that failed', async () => {
  const clean = await outcome('eager');
  assert.is(clean.said, 'right');
  assert.not(clean.calls.some((line) => /Graph|Capture/.test(line)));
  const at = clean.calls.findIndex((line) => line.startsWith('cuLaunchKernel add_second')) + 1;
  assert.is(clean.calls[at], 'cuStreamSynchronize');
  const { said, left } = await outcome('eager', { FAKE_FAIL: `#${at}=719` });
  assert.match(said, /^fault cuda-failed \[add_second\] .* while running kernel add_second \(model.ts:4:9\)/);
  assert.equal(left, []);
});

const faults: readonly [name: string, code: RegExp, fake: Record<string, string>, mode?: string][] = [
  ['a driver of old', /^fault driver-too-old .*serves CUDA 11\.2, and CUDA 11\.4/, { FAKE_VERSION: '11020' }],
  ['libraries that do not match', /^fault driver-too-old/, { FAKE_FAIL: 'cuInit=803' }],
  ['a library that is only for linking', /^fault no-driver/, { FAKE_FAIL: 'cuInit=34' }],
  ['a driver without a device', /^fault no-device .*finds no device/, { FAKE_FAIL: 'cuInit=100' }],
  ['no device to count', /^fault no-device .*finds no device/, { FAKE_COUNT: '0' }],
  ['a device that is not there', /^fault no-device .*device 1 is wanted, and there are 1/, {}, 'second'],
  [
    'no code for this architecture',
    /^fault no-kernel-image .*Fake 90 \(sm_90\).*sm_80, compute_80/,
    { FAKE_FAIL: 'cuModuleLoadData=209' },
  ],
  [
    'PTX that is newer than the driver',
    /^fault driver-too-old .*serves CUDA 12\.4, and CUDA 13\.0/,
    { FAKE_FAIL: 'cuModuleLoadData=222', FAKE_VERSION: '12040' },
  ],
  [
    'code that is newer than the driver',
    /^fault driver-too-old .*serves CUDA 12\.4, and CUDA 13\.0/,
    { FAKE_FAIL: 'cuModuleLoadData=200', FAKE_VERSION: '12040' },
  ],
  ['kernels cut short', /^fault cuda-failed .*damaged/, {}, 'damaged'],
  [
    'no memory',
    /^fault out-of-memory \[the state\] no memory for the state \(1200 bytes\)/,
    { FAKE_FAIL: 'cuMemAlloc=2' },
  ],
  ['no memory to prepare a graph', /^fault out-of-memory .*Fake 90/, { FAKE_FAIL: 'cuGraphInstantiate=2' }],
  [
    'a kernel that no image holds',
    /^fault cuda-failed \[add_first\] no image holds kernel add_first \(model.ts:3:1\)/,
    { FAKE_FAIL: 'cuModuleGetFunction=500' },
  ],
  ['an error without a name', /^fault cuda-failed .*error 77 while/, { FAKE_FAIL: 'cuGraphLaunch=77' }],
];

for (const [name, wanted, fake, mode] of faults) {
  test(name, async () => {
    const { said, left } = await outcome(mode, fake);
    assert.match(said, wanted);
    assert.equal(left, []);
  });
}

test('a driver that lacks a function', async () => {
  assert.match((await outcome('plain', {}, drivers.older)).said, /^fault driver-too-old .*it has no cuGraphLaunch/);
});

test('no driver', async () => {
  assert.match((await outcome('plain', {}, drivers.broken)).said, /^fault no-driver .*libcuda\.so\.1/);
  const { said } = await outcome('plain', {}, folder);
  if (said.startsWith('fault no-driver')) assert.match(said, 'no NVIDIA driver: libcuda.so.1');
  else console.log('[SKIP] no driver library: this machine has one');
});

test.run();
