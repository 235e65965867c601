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

/** The program and its drivers; a hook that fails would leave uvu content. */
async function build(): Promise<void> {
  for (const path of Object.values(drivers)) mkdirSync(path);
  writeFileSync(join(drivers.broken, 'libcuda.so.1'), 'no library');
  const sanitizers = ['-fsanitize=address,undefined', '-fno-sanitize-recover=all'];
  const sources = [join(here, 'cuda-device.cc'), join(native, 'cpu/pool.cc')];
  const jobs = [
    () => run(compiler, [...common, ...sanitizers, `-I${native}`, ...sources, '-o', program, '-ldl']),
    () => library(drivers.whole, []),
    () => library(drivers.older, ['-DWITHOUT_GRAPH_LAUNCH']),
  ];
  const compiled = inLanes(jobs);
  await Promise.all(jobs.map((_, i) => compiled(i)));
}

let built: Promise<void> | undefined;

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
  await (built ??= build());
  const log = join(folder, `log-${runs++}`);
  const env = childEnvironment({ LD_LIBRARY_PATH: at, FAKE_LOG: log, ...fake });
  const { stdout } = await run(program, [mode], { env, timeout: 300_000 });
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
  const first = 'cuLaunchKernel add_first 4,2,1 32,1,1 0 0';
  const second = 'cuLaunchKernel add_second 1,1,1 64,2,1 65536 0';
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
    ...['cuMemcpyDtoDAsync 200', 'cuStreamSynchronize'],
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
      ...['cuDevicePrimaryCtxRetain', 'cuModuleLoadData', 'cuModuleLoadData'],
      ...['cuStreamCreate', 'cuStreamCreate', 'cuMemHostAlloc'],
      ...session([
        'cuModuleGetFunction add_first',
        ...['cuModuleGetFunction add_second', 'cuModuleGetFunction add_second'],
        'cuFuncSetAttribute 65536',
      ]),
      ...session([]),
      ...['cuStreamSynchronize', 'cuMemFreeHost', 'cuStreamDestroy', 'cuStreamDestroy'],
      ...['cuModuleUnload', 'cuModuleUnload'],
      'cuDevicePrimaryCtxRelease',
    ],
  );
});

test('two streams of a step are forked, ordered and joined inside its capture', async () => {
  const { said, calls, left } = await outcome('beside');
  assert.is(said, 'right');
  assert.equal(left, []);
  const launch = (stream: number) => `cuLaunchKernel ${['add_first', 'add_second'][stream]} 1,1,1 32,1,1 0 ${stream}`;
  const [record, wait] = ['cuEventRecord', 'cuStreamWaitEvent'];
  const from = calls.indexOf('cuStreamBeginCapture');
  const to = calls.indexOf('cuStreamEndCapture');
  assert.equal(calls.slice(from + 1, to), [
    ...[`${record} 0`, `${wait} 1`], // the second stream enters
    ...[launch(0), `${record} 0`, launch(1), launch(0)],
    ...[`${wait} 1`, launch(1), launch(1), `${record} 1`], // launches 3 and 4 after launch 0
    ...[launch(0), `${wait} 0`, launch(0)], // launch 6 after launch 4
    ...[launch(0), `${record} 0`, `${wait} 1`, launch(1), `${record} 1`], // launch 8 after launch 7
    ...[launch(0), `${wait} 0`], // nobody waited for launch 8: joined at the end
  ]);
  // Made before the capture, gone after it; nothing of the kind in the second step.
  const made = calls.flatMap((call, i) => (/^cuEvent(Create|Destroy)/.test(call) ? [i] : []));
  assert.is(made.length, 10);
  assert.ok(made.slice(0, 5).every((i) => i < from && calls[i] === 'cuEventCreate 2'));
  assert.ok(made.slice(5).every((i) => i > to && i < calls.indexOf('cuGraphLaunch')));
});

for (const late of ['0', '1']) {
  test(`sums of two streams are right with stream ${late} as late as it may be`, async () => {
    assert.is((await outcome('beside', { FAKE_LATE: late })).said, 'right');
  });
}

test('one launch after another needs no events', async () => {
  const { said, calls } = await outcome('beside-eager');
  assert.is(said, 'right');
  assert.not(calls.some((line) => /Event|Capture/.test(line)));
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

test('a table that stays in its file lies in pinned memory that the device reads', async () => {
  const TABLE = join(folder, 'table');
  const { said, calls, left } = await outcome('placed', { TABLE });
  assert.is(said, 'right');
  assert.equal(left, []);
  const pinned = calls.indexOf('cuMemHostAlloc 3'); // portable and mapped; the other is for staging
  assert.is(calls[pinned + 1], 'cuMemHostGetDevicePointer');
  assert.is(calls.filter((call) => call === 'cuMemFreeHost').length, 2);
  // Nothing of its 4000 bytes is copied by the driver.
  assert.not(calls.some((call) => /^cuMemcpyHtoDAsync \d{3,}/.test(call)));
  for (const [call, code, message] of [
    ['cuMemHostAlloc 3', 2, /^fault out-of-memory \[table\] no memory for table \(4000 bytes\)/],
    ['cuMemHostAlloc 3', 719, /^fault cuda-failed .* while pinning table/],
    ['cuMemHostGetDevicePointer', 719, /^fault cuda-failed .* while mapping table/],
  ] as const) {
    const failed = await outcome('placed', { TABLE, FAKE_FAIL: `#${calls.indexOf(call)}=${code}` });
    assert.match(failed.said, message);
    assert.equal(failed.left, []);
  }
});

/** Runs `mode` once for each of its calls that look like `which`, with that call failing. */
async function failEach(mode: string, which: RegExp, leastFaults: number): Promise<void> {
  const { calls } = await outcome(mode);
  const gives = /^cu(CtxPop|MemFree|(Stream|Event)Destroy|ModuleUnload|Graph(Exec)?Destroy|DevicePrimaryCtxRelease)/;
  // The last wait belongs to closing, which has nobody to tell; entering the context for giving something back likewise.
  const lastWait = calls.lastIndexOf('cuStreamSynchronize');
  // Who cannot enter a context cannot give back what is in it.
  const may = (call: string): Record<string, string> =>
    call === 'cuCtxPushCurrent' ? { ASAN_OPTIONS: 'detect_leaks=0' } : {};
  const tried = calls.flatMap((call, i) => (which.test(call) ? [{ call, i }] : []));
  const outcomes = inLanes(
    tried.map(
      ({ call, i }) =>
        () =>
          outcome(mode, { FAKE_FAIL: `#${i}=719`, ...may(call) }),
    ),
  );
  let faults = 0;
  for (const [n, { call, i }] of tried.entries()) {
    const { said, left } = await outcomes(n);
    const where = `call ${i}, ${call}: ${said}`;
    const quiet = gives.test(call) || i === lastWait || (call === 'cuCtxPushCurrent' && gives.test(calls[i + 1]!));
    if (quiet || (call === 'cuCtxPushCurrent' && i > lastWait - 2)) {
      assert.is(said, 'right', where);
    } else {
      faults++;
      assert.match(
        said,
        /^fault cuda-failed \[.*\] CUDA_ERROR_LAUNCH_FAILED \(unspecified launch failure\) while \w+/,
        where,
      );
      const kernel = call.match(/^cu(?:LaunchKernel|ModuleGetFunction) (\w+)/)?.[1];
      if (kernel !== undefined) {
        assert.match(said, `[${kernel}]`, where);
        assert.match(
          said,
          `kernel ${kernel} (model.ts:${mode === 'beside' ? '5:7' : kernel === 'add_first' ? '3:1' : '4:9'})`,
          where,
        );
      }
    }
    if (/^cu(Event(Create|Record)|StreamWaitEvent)/.test(call)) assert.match(said, '(model.ts:5:7)', where);
    if (call !== 'cuCtxPushCurrent') assert.equal(left, [], where);
  }
  assert.ok(faults > leastFaults, `${faults} faults`);
}

test('whichever call fails, the fault says so and all is given back', () => failEach('plain', /./, 40));

test('whichever call fails with two streams, the fault says so and all is given back', () =>
  failEach('beside', /Event|Launch|Capture/, 25));

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
