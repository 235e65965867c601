// Traces: what `run --trace` leaves is whole, replays to the same bytes, tells what was changed, and harms nobody who was handed
// a damaged or a hostile one.

import { execFile, execFileSync, spawnSync } from 'node:child_process';
import {
  appendFileSync,
  cpSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { findNvcc } from '../../src/build/nvcc.ts';
import { beginTrace, endTrace, type Trace, type TracedLaunch } from '../../src/build/trace-folder.ts';
import { describeKernels } from '../../src/codegen/kernels-json.ts';
import { loadModel, translate } from '../../src/compile.ts';
import type { DevicePlan } from '../../src/plan/plans.ts';
import { type Replayed, replay } from '../../src/replay.ts';
import { openSafetensors, readTensor } from '../../src/runtime/safetensors.ts';
import { writeSafetensors } from '../../src/runtime/safetensors-write.ts';
import { tensor } from '../../src/support/tensor.ts';
import { freshFolder } from '../build-folder.ts';
import { bin, root, ultramem } from '../cli/run-command.ts';
import { checkpoint, layerCase, layerModel } from '../compiled-model.ts';
import { rejects } from '../robustness/rejection.ts';

const test = suite('traces');
const folder = freshFolder('trace');
const layerTrace = join(folder, 'layer');
const layerOutputs = join(folder, 'layer.safetensors');
const layerArgs = [
  ...['run', 'examples/layer.ts', '--config', layerCase.replace(/safetensors$/, 'json')],
  ...['--weights', layerCase, '--inputs', layerCase, '--target', 'simt'],
];

const readKernels = (at: string): Trace => JSON.parse(readFileSync(join(at, 'kernels.json'), 'utf8')) as Trace;
const launchesOf = (at: string): readonly TracedLaunch[] => readKernels(at).steps.flatMap(({ launches }) => launches);
const bytesOf = (at: string, file: string): Buffer => readFileSync(join(at, file));

/** A copy of the layer's trace, to be changed. */
function copied(change: (at: string) => void): string {
  const at = freshFolder('trace-copy');
  cpSync(layerTrace, at, { recursive: true });
  change(at);
  return at;
}

/** kernels.json as far as it is changed here. */
interface Draft {
  version: number;
  march: string;
  steps: [{ source: string; launches: [DraftLaunch, ...DraftLaunch[]] }, ...unknown[]];
}
interface DraftLaunch {
  kernel: string;
  grid: number[];
  block: number[];
  shared: number;
  finished: boolean;
  memory: [Piece, Piece, ...Piece[]];
  arguments: [Operand, ...Operand[]];
}
interface Piece {
  buffer: string;
  bytes: number;
  before: string;
  after?: string;
  unwritten?: number[][];
}
interface Operand {
  buffer: string;
  offset: number;
  shape: [number, ...number[]];
  access?: string;
}

/** A copy with another kernels.json. */
const withKernels = (change: (trace: Draft) => unknown): string =>
  copied((at) => {
    const trace = JSON.parse(bytesOf(at, 'kernels.json').toString()) as Draft;
    writeFileSync(join(at, 'kernels.json'), JSON.stringify(change(trace) ?? trace));
  });

const states = ({ launches }: Replayed): string[] => [...new Set(launches.map(({ state }) => state))];

/** `ultramem` off the event loop's thread: what it printed, with its exit code. */
async function ran(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  try {
    const ended = await promisify(execFile)(process.execPath, [bin, ...args], { cwd: root, maxBuffer: 1 << 26 });
    return { code: 0, ...ended };
  } catch (error) {
    return error as { code: number; stdout: string; stderr: string };
  }
}

test.before(async () => {
  const { code, stderr } = await ran(...layerArgs, '--outputs', layerOutputs, '--trace', layerTrace);
  assert.is(code, 0, stderr);
});

test('the trace of a layer: every launch in order, with what the last ones left as the outputs', async () => {
  const { plan } = translate(await layerModel(), { target: 'simt' });
  const { variants } = describeKernels(plan as DevicePlan);
  const { steps } = readKernels(layerTrace);
  assert.is(steps.length, 1);
  const { variant, symbols, launches } = steps[0]!;
  const described = variants.find((one) => one.variant === variant)!;
  assert.equal(
    launches.map(({ kernel }) => kernel),
    described.launches.map(({ kernel }) => kernel),
  );
  for (const [i, { kernel, finished, memory, arguments: operands }] of launches.entries()) {
    assert.is(finished, true);
    assert.equal(
      operands.map(({ name, shape }) => [name, ...shape]),
      described.launches[i]!.arguments.map(({ name, shape }) => [
        name,
        ...shape.map((dim) => (typeof dim === 'string' ? symbols[dim] : dim)),
      ]),
    );
    for (const { buffer, bytes, before, after } of memory) {
      assert.is(bytesOf(layerTrace, before).length, bytes, `${kernel} ${buffer}`);
      const written = operands.some((operand) => operand.buffer === buffer && operand.access !== 'read');
      assert.is(after !== undefined, written, `${kernel} ${buffer}`);
    }
  }
  const outputs = await openSafetensors(layerOutputs);
  const y = launches.flatMap(({ memory, arguments: operands }) =>
    memory.filter(({ buffer }) => operands.some((one) => one.buffer === buffer && one.tensor === 'y')),
  );
  const { data } = await readTensor(outputs, 'out.y');
  assert.ok(
    bytesOf(layerTrace, y.at(-1)!.after!).equals(new Uint8Array(data.buffer, data.byteOffset, data.byteLength)),
  );
});

test('it replays to the same bytes, and needs no more than its folder for that or for nvcc', async () => {
  const elsewhere = copied(() => undefined);
  const { code, stdout } = await ran('replay', elsewhere, '--json');
  assert.is(code, 0, stdout);
  const { ok, launches } = JSON.parse(stdout) as Replayed & { ok: number };
  assert.is(ok, launchesOf(layerTrace).length);
  assert.is(launches.length, ok);
  const nvcc = await findNvcc().catch((error: unknown) => console.log(`[SKIP] a cubin of a trace: ${String(error)}`));
  if (nvcc === undefined) return;
  const { source } = readKernels(elsewhere).steps[0]!;
  await promisify(execFile)(nvcc.path, ['-std=c++20', '-ptx', '-I.', source, '-o', 'out.ptx'], { cwd: elsewhere });
  const ptx = bytesOf(elsewhere, 'out.ptx').toString();
  for (const { kernel } of launchesOf(layerTrace)) assert.match(ptx, `.entry ${kernel}(`);
});

test('one token of bytes-lm replays to the same bytes; its trace is about as large as what the step reads', async () => {
  const inputs = join(folder, 'token.safetensors');
  await writeSafetensors(inputs, { ids: tensor('i32', [1], Int32Array.of(72)) });
  const trace = join(folder, 'bytes-lm');
  const weights = ['--weights', checkpoint, '--inputs', inputs];
  const traced = await ran('run', 'examples/bytes-lm/model.ts', ...weights, '--target', 'simt', '--trace', trace);
  assert.is(traced.code, 0, traced.stderr);
  assert.match(traced.stderr, /\d+ launches, written to /);
  const replayed = await replay(trace);
  assert.equal(states(replayed), ['ok']);
  assert.ok(replayed.launches.length > 50);
  const files = readdirSync(trace, { recursive: true, encoding: 'utf8' }).map((name) => statSync(join(trace, name)));
  const bytes = files.reduce((sum, file) => sum + (file.isFile() ? file.size : 0), 0);
  assert.ok(bytes < 3 * statSync(checkpoint).size, `${bytes} bytes`);
});

test('a byte that differs is told with its launch, argument and place; the others stay ok', async () => {
  const [i, launch] = [...launchesOf(layerTrace).entries()].at(-1)!;
  const file = launch.memory.find(({ after }) => after !== undefined)!;
  const at = copied((copy) => {
    const bytes = bytesOf(copy, file.after!);
    bytes[9]! ^= 1;
    bytes[12]! ^= 1;
    writeFileSync(join(copy, file.after!), bytes);
  });
  const { code, stdout } = await ran('replay', at);
  assert.is(code, 1);
  const { launches } = await replay(at);
  const names = launch.arguments.filter(({ buffer }) => buffer === file.buffer).map(({ name }) => name);
  assert.equal(launches[i]!.differences, [{ buffer: file.buffer, arguments: names, bytes: 2, first: 9 }]);
  assert.match(
    stdout,
    new RegExp(`differs +0*${i} ${launch.kernel} .*\\n +${names.join(', ')}: 2 bytes differ, the first at byte 9`),
  );
  assert.match(stdout, `${i} of ${i + 1} launches leave the same bytes`);
  assert.equal([...new Set(launches.slice(0, -1).map(({ state }) => state))], ['ok']);
});

test('another input gives other bytes', async () => {
  const { before } = launchesOf(layerTrace)[0]!.memory[0]!;
  const { launches } = await replay(
    copied((at) => {
      const bytes = bytesOf(at, before);
      bytes.writeFloatLE(bytes.readFloatLE(0) + 1, 0);
      writeFileSync(join(at, before), bytes);
    }),
  );
  assert.is(launches[0]!.state, 'differs');
});

test('a kernel of a trace that breaks a rule is a finding, with the line of the model', async () => {
  const at = copied((copy) => {
    const { source, launches } = readKernels(copy).steps[0]!;
    let text = bytesOf(copy, source).toString();
    const insert = (launch: number, line: (written: string) => string): void => {
      const { kernel, arguments: operands } = launches[launch]!;
      const written = operands.find(({ access }) => access === 'write')!.name;
      const changed = text.replace(new RegExp(`(\\b${kernel}\\([^{]*\\{)`), `$1\n  ${line(written)}\n`);
      assert.is.not(changed, text);
      text = changed;
    };
    insert(0, (y) => `if (threadIdx.x == 0 && blockIdx.x == 0) ${y}[-1] = 0;`);
    // What lay in its memory before the launch is not the kernel's to read.
    insert(1, (y) => `if (threadIdx.x == 0 && ${y}[0] > 0) ${y}[1] = 0;`);
    writeFileSync(join(copy, source), text);
  });
  const { launches } = await replay(at);
  assert.equal([launches[0]!.state, launches[1]!.state], ['finding', 'finding']);
  assert.match(launches[0]!.findings[0]!, /^out-of-bounds in \w+ \(layer\.ts:\d+:\d+\): step_\w+\.cu:\d+: /);
  assert.match(launches[1]!.findings.join(), 'unwritten-read');
});

test('a launch that did not end when it was traced is run, and is not ok', async () => {
  const at = withKernels(({ steps: [{ launches }] }) => {
    const last = launches.at(-1)!;
    last.finished = false;
    for (const piece of last.memory) delete piece.after;
  });
  const { launches } = await replay(at);
  assert.is(launches.at(-1)!.state, 'unfinished');
});

test('the log of a step that failed becomes a trace of what ran', async () => {
  const { plan, files } = translate(await layerModel(), { target: 'simt' });
  const at = freshFolder('trace-log');
  writeFileSync(join(at, '0.0.before'), 'abcd');
  writeFileSync(join(at, '0.1.before'), 'abcd');
  const log = ['launch 0 0 1', 'before 0 4', 'before 1 4', 'unwritten 1 0 2', 'unwritten 1 3 4', ''];
  writeFileSync(join(at, 'log'), log.join('\n'));
  const { steps } = await endTrace(at, describeKernels(plan as DevicePlan), files, 'native');
  const { memory, finished } = steps[0]!.launches[0]!;
  assert.is(finished, false);
  assert.is(memory[1]!.before, memory[0]!.before, 'equal files are kept once');
  assert.equal(memory[1]!.unwritten, [
    [0, 2],
    [3, 4],
  ]);
  assert.not(readdirSync(at).some((name) => name === 'log' || /^\d+\./.test(name)));
});

const hostile: readonly [name: string, code: string, change: (trace: Draft) => unknown][] = [
  ['another version', 'trace-version', (t) => void (t.version = 99)],
  ['no object', 'trace-malformed', () => []],
  ['no launches', 'trace-missing', (t) => void t.steps.splice(0)],
  ['what compile leaves', 'trace-missing', ({ version }) => ({ version, variants: [] })],
  ['a flag for a processor', 'trace-malformed', (t) => void (t.march = 'native -o/tmp/x')],
  ['a source elsewhere', 'trace-malformed', (t) => void (t.steps[0].source = '../step_few.cu')],
  ['a source that is not there', 'trace-file', (t) => void (t.steps[0].source = 'other.cu')],
  ['code for a name', 'trace-malformed', (t) => void (t.steps[0].launches[0].kernel = 'a>("",""),x<b')],
  ['a grid of nothing', 'trace-malformed', (t) => void (t.steps[0].launches[0].grid = [0, 1, 1])],
  ['a grid with two sizes', 'trace-malformed', (t) => void (t.steps[0].launches[0].grid = [1, 1])],
  ['a block too large', 'trace-malformed', (t) => void (t.steps[0].launches[0].block = [1024, 2, 1])],
  ['too much shared memory', 'trace-malformed', (t) => void (t.steps[0].launches[0].shared = 2 ** 40)],
  ['a piece of no bytes', 'trace-malformed', (t) => void (t.steps[0].launches[0].memory[0].bytes = 0)],
  ['a piece of all bytes', 'trace-malformed', (t) => void (t.steps[0].launches[0].memory[0].bytes = 1e300)],
  ['a piece that its file lacks', 'trace-file', (t) => void (t.steps[0].launches[0].memory[0].bytes *= 1000)],
  ['a file elsewhere', 'trace-malformed', (t) => void (t.steps[0].launches[0].memory[0].before = '../kernels.json')],
  ['a file at the root', 'trace-malformed', (t) => void (t.steps[0].launches[0].memory[0].before = '/etc/passwd')],
  ['a folder for a file', 'trace-file', (t) => void (t.steps[0].launches[0].memory[0].before = 'cuda')],
  ['a name with a blank', 'trace-malformed', (t) => void (t.steps[0].launches[0].memory[0].before = 'a b')],
  [
    'two pieces of a name',
    'trace-malformed',
    ({ steps: [{ launches }] }) => void (launches[0].memory[1].buffer = launches[0].memory[0].buffer),
  ],
  [
    'ranges out of order',
    'trace-malformed',
    (t) =>
      void (t.steps[0].launches[0].memory[0].unwritten = [
        [4, 8],
        [0, 4],
      ]),
  ],
  ['an offset past the end', 'trace-malformed', (t) => void (t.steps[0].launches[0].arguments[0].offset = 1e15)],
  ['a negative offset', 'trace-malformed', (t) => void (t.steps[0].launches[0].arguments[0].offset = -4)],
  ['a shape past the end', 'trace-malformed', (t) => void (t.steps[0].launches[0].arguments[0].shape[0] *= 2)],
  ['a buffer of nobody', 'trace-malformed', (t) => void (t.steps[0].launches[0].arguments[0].buffer = 'other')],
  ['no access', 'trace-malformed', (t) => void delete t.steps[0].launches[0].arguments[0].access],
  [
    'no file after',
    'trace-malformed',
    (t) => void delete t.steps[0].launches[0].memory.find(({ after }) => after !== undefined)!.after,
  ],
  ['fewer arguments than parameters', 'replay-failed', (t) => void t.steps[0].launches[0].arguments.pop()],
  ['a kernel of no source', 'compile-failed', (t) => void (t.steps[0].launches[0].kernel = 'nobody')],
];
for (const [name, code, change] of hostile) {
  test(`kernels.json: ${name}`, async () => void (await rejects(replay(withKernels(change)), code)));
}

test('files that are damaged or missing', async () => {
  const { before } = launchesOf(layerTrace)[0]!.memory[0]!;
  const refused = (change: (at: string) => void, code: string) => rejects(replay(copied(change)), code);
  const short = await refused((at) => truncateSync(join(at, before), 3), 'trace-file');
  assert.match(short.message, /has 3 bytes, not \d+/);
  await refused((at) => appendFileSync(join(at, before), 'x'), 'trace-file');
  await refused((at) => rmSync(join(at, before)), 'trace-file');
  const outside = await refused((at) => {
    rmSync(join(at, before));
    symlinkSync('/etc/hostname', join(at, before));
  }, 'trace-file');
  assert.match(outside.message, 'outside of the trace');
  await refused((at) => truncateSync(join(at, 'kernels.json'), 100), 'trace-malformed');
  await refused((at) => rmSync(join(at, 'kernels.json')), 'trace-missing');
  await rejects(replay(join(folder, 'nowhere')), 'trace-missing');
  const { code, stdout } = await ran('replay', join(folder, 'nowhere'), '--json');
  assert.equal([code, JSON.parse(stdout).error.code], [1, 'trace-missing']);
});

test('where a trace may go', async () => {
  assert.match((await rejects(beginTrace(layerTrace), 'trace-folder-not-empty')).message, / holds 000-/);
  assert.match((await rejects(beginTrace(layerOutputs), 'not-a-folder')).message, 'the trace folder');
  const cpu = layerArgs.map((arg) => (arg === 'simt' ? 'cpu' : arg));
  const { stderr } = ultramem([...cpu, '--trace', join(folder, 'other')]);
  assert.match(stderr, /^error cli-option-needed: --target simt/);
});

test('a disk that is full in the middle of a step', async () => {
  const place = freshFolder('trace-disk');
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', place], { encoding: 'utf8' });
  if (mounted.status !== 0) return console.log(`[SKIP] no file system of 64 KB: ${mounted.stderr ?? mounted.error}`);
  try {
    const { status, stderr } = ultramem([...layerArgs, '--trace', join(place, 'trace')]);
    assert.is(status, 1);
    assert.match(stderr, /^error disk-full: the trace /);
  } finally {
    execFileSync('umount', ['-l', place]);
  }
});

test('compile --keep: sources, headers, PTX, kernels.json and what kernels take; also of a cached addon', async () => {
  const file = join(folder, 'model.ts');
  const lines = [
    "import { model, softmax } from 'ultramem';",
    "export default model('kept', (m) => m.output('y', softmax(m.input('x', [m.symbol('T', { bound: 1 }), 40]))));",
  ];
  writeFileSync(file, lines.join('\n'));
  const names = (at: string) => readdirSync(join(at, 'kernels')).sort();
  const simt = join(folder, 'kept-simt');
  assert.is(ultramem(['compile', file, '--target', 'simt', '--keep', '--out', simt]).status, 0);
  assert.equal(names(simt), ['cuda', 'kernels.json', 'step_one.cu']);
  assert.match(ultramem(['compile', file, '--keep']).stderr, /^error cli-option-needed: --target cuda/);
  const { plan } = translate(await loadModel(file), { target: 'cuda' });
  const kernels = describeKernels(plan as DevicePlan);
  assert.equal(
    JSON.parse(readFileSync(join(simt, 'kernels/kernels.json'), 'utf8')),
    JSON.parse(JSON.stringify(kernels)),
  );

  if ((await findNvcc().catch(() => undefined)) === undefined) return console.log('[SKIP] PTX and report: no nvcc');
  const cuda = join(folder, 'kept-cuda');
  const args = ['compile', file, '--target', 'cuda', '--arch', '80', '--out', cuda];
  const first = ultramem([...args, '--keep']);
  assert.is(first.status, 0, first.stderr);
  assert.match(first.stdout, /^kernel +registers +shared +spills/m);
  const whole = ['cuda', 'kernels.json', 'resources.json', 'step_one.compute_80.ptx', 'step_one.cu'];
  assert.equal(names(cuda), whole);
  const ptx = readFileSync(join(cuda, 'kernels/step_one.compute_80.ptx'), 'utf8');
  for (const { kernel } of kernels.variants[0]!.launches) assert.match(ptx, `.entry ${kernel}(`);
  rmSync(join(cuda, 'kernels'), { recursive: true });

  const again = JSON.parse(ultramem([...args, '--keep', '--json']).stdout);
  assert.is(again.cached, true);
  assert.equal(names(cuda), whole);
  assert.equal(again.resources, JSON.parse(readFileSync(join(cuda, 'kernels/resources.json'), 'utf8')));
  assert.ok(again.resources[0].registers > 0);

  // The report beside the cached addon: spills in it are refused unless allowed, and it is made again where it is gone.
  const report = join(process.env.ULTRAMEM_CACHE!, 'addons', again.digest.slice(0, 32), 'resources.json');
  const [one] = again.resources;
  writeFileSync(report, JSON.stringify([{ ...one, spillStores: 8 }]));
  const refused = ultramem(args);
  assert.match(refused.stderr, /^error kernel-spills: /);
  assert.match(refused.stderr, `--allow-spill ${one.kernel}`);
  assert.is(ultramem([...args, '--allow-spill', `other, ${one.kernel}`]).status, 0);
  rmSync(report);
  assert.equal(JSON.parse(ultramem([...args, '--json']).stdout).resources, again.resources);
});

test.after(() => rmSync(folder, { recursive: true, force: true }));
test.run();
