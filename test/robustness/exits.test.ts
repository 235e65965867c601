// A process ends in the middle of a step or a load as it was told to: at once, with its exit code, without a crash and without a word.
// Every moment is tried at random delays; `SEED=` replays them.

import { spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import bytesLm from '../../examples/bytes-lm/model.ts';
import { compile } from '../../src/compile.ts';
import { tensor, writeSafetensors } from '../../src/runtime/index.ts';
import { readSwitch } from '../../src/support/env.ts';
import { freshFolder } from '../build-folder.ts';
import { checkpoint } from '../compiled-model.ts';
import { Random } from '../random.ts';
import { WIDTH } from './marked-table.ts';
import { smallRows, smallTable } from './pooling.ts';

const test = suite('robustness: exits');
const seed = Number(readSwitch('SEED') ?? Math.floor(Math.random() * 2 ** 31));
const random = new Random(seed, 'exits');
const folder = freshFolder('exits');
const narrow = join(folder, 'narrow.safetensors');

/** Plain JavaScript over a bare addon, which starts soon: `load(copy)`, then `steps(T)` runs steps of T tokens for ever. */
const program = (addon: string, weights: string) => `
  const { openSync, readSync } = require('node:fs');
  const addon = require(${JSON.stringify(addon)});
  const file = openSync(${JSON.stringify(weights)}, 'r');
  const head = Buffer.alloc(8);
  readSync(file, head, 0, 8, 0);
  const length = Number(head.readBigUInt64LE());
  const text = Buffer.alloc(length);
  readSync(file, text, 0, length, 8);
  const header = JSON.parse(text.toString());
  const sources = addon.describe().weights.map(({ name }) =>
    header[name] && {
      path: ${JSON.stringify(weights)},
      begin: 8 + length + header[name].data_offsets[0],
      dtype: header[name].dtype.toLowerCase(),
    });
  const load = async (copy) => {
    const weights = new addon.Weights();
    await weights.load(sources, 2, copy);
    return weights;
  };
  const open = async () => new addon.Session(await load(false), 2, [512, 2]);
  const step = async (session, T) => {
    const ids = Int32Array.from({ length: T }, (_, i) => i % 256);
    const sequence = Int32Array.from({ length: T }, (_, i) => i >> 8);
    await session.step([T, 2], [ids, ids, sequence], [new Float32Array(T * 257)]);
  };
  const steps = async (session, T) => {
    for (;;) await step(session, T);
  };
`;

interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Milliseconds from the word `now` on stdout, which stands before whatever ends the process. */
  readonly took: number;
}

/** Runs JavaScript in a process of its own; sends a signal `kill` milliseconds after its first word. */
function ending(code: string, kill?: number): Promise<Ended> {
  const child = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'pipe', 'pipe'] });
  let [stdout, stderr, now] = ['', '', performance.now()];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    if (kill !== undefined && stdout === '') setTimeout(() => child.kill('SIGTERM'), kill);
    stdout += text;
    now = performance.now();
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const late = setTimeout(() => child.kill('SIGKILL'), 60_000);
  return new Promise((resolve, reject) => {
    child.on('error', reject).on('close', (code, signal) => {
      clearTimeout(late);
      resolve({ code, signal, stdout, stderr, took: performance.now() - now });
    });
  });
}

/** Tries at random delays below `most` milliseconds, two at a time. */
async function tries(count: number, most: number, one: (delay: number) => Promise<void>): Promise<void> {
  const delays = Array.from({ length: count }, () => Math.floor(random.uniform() * most * 10) / 10);
  const lane = async (): Promise<void> => {
    for (let delay = delays.pop(); delay !== undefined; delay = delays.pop()) await one(delay);
  };
  await Promise.all([lane(), lane()]);
}

function assertEnded(ended: Ended, wanted: Partial<Ended>, delay: number): void {
  const text = `SEED=${seed}, after ${delay} ms: ${JSON.stringify(ended)}`;
  for (const [key, value] of Object.entries(wanted)) assert.is(ended[key as keyof Ended], value, text);
  assert.ok(ended.took < 2000, text);
}

/** `now`, said before what ends the process; written at once, whatever comes next. */
const now = `require('node:fs').writeSync(1, 'now');`;

for (const [target, T, count, most] of [
  ['cpu', 512, 30, 120],
  ['simt', 4, 10, 600],
] as const) {
  const bare = async () =>
    program((await compile(bytesLm, { target, outDir: freshFolder('exits') })).addon, checkpoint);

  test(`${target}: process.exit during steps`, async () => {
    const code = await bare();
    await tries(count, most, async (delay) => {
      const ended = await ending(
        `${code} open().then((session) => { setTimeout(() => { ${now} process.exit(7); }, ${delay}); return steps(session, ${T}); });`,
      );
      assertEnded(ended, { code: 7, signal: null, stderr: '' }, delay);
    });
  });

  test(`${target}: an exception that nobody catches, during steps`, async () => {
    const code = await bare();
    await tries(count / 2, most, async (delay) => {
      const ended = await ending(
        `${code} open().then((session) => { setTimeout(() => { ${now} throw 'nobody catches this'; }, ${delay}); return steps(session, ${T}); });`,
      );
      assertEnded(ended, { code: 1, signal: null }, delay);
      assert.match(ended.stderr, /nobody catches this/);
      assert.not.match(ended.stderr, /terminate|SIG|abort|FATAL/i);
    });
  });

  test(`${target}: SIGTERM during steps`, async () => {
    const code = await bare();
    await tries(count / 2, most, async (delay) => {
      const ended = await ending(`${code} open().then((session) => { ${now} return steps(session, ${T}); });`, delay);
      assertEnded({ ...ended, took: 0 }, { code: null, signal: 'SIGTERM', stderr: '' }, delay);
    });
  });

  test(`${target}: process.exit while a worker thread steps`, async () => {
    const code = await bare();
    await tries(count / 5, most, async (delay) => {
      const worker = `${code} open().then((session) => { require('node:worker_threads').parentPort.postMessage(0); return steps(session, ${T}); });`;
      const ended = await ending(
        `const worker = new (require('node:worker_threads').Worker)(${JSON.stringify(worker)}, { eval: true });
         worker.once('message', () => setTimeout(() => { ${now} process.exit(7); }, ${delay}));`,
      );
      assertEnded(ended, { code: 7, signal: null, stderr: '' }, delay);
    });
  });

  test(`${target}: the end of the program waits for a step, and for no session`, async () => {
    const ended = await ending(
      `${await bare()} open().then((session) => void step(session, ${T}).then(() => { ${now} }));`,
    );
    assertEnded(ended, { code: 0, signal: null, stderr: '', stdout: 'now' }, 0);
  });
}

test('process.exit during a load: read as it is stored, converted, and copied', async () => {
  const { addon } = await compile(smallTable, { outDir: freshFolder(smallTable.name) });
  await writeSafetensors(narrow, { table: tensor('bf16', [smallRows, WIDTH], new Uint16Array(smallRows * WIDTH)) });
  await tries(30, 150, async (delay) => {
    const ended = await ending(
      `${program(addon, narrow)} setTimeout(() => { ${now} process.exit(7); }, ${delay});
       (async () => { for (;;) { const weights = await load(${delay > 75}); weights.dispose(); } })();`,
    );
    assertEnded(ended, { code: 7, signal: null, stderr: '' }, delay);
  });
});

test('the end of the program waits for a load', async () => {
  const { addon } = await compile(smallTable, { outDir: freshFolder(smallTable.name) });
  const ended = await ending(`${program(addon, narrow)} load(true).then(() => { ${now} });`);
  assertEnded(ended, { code: 0, signal: null, stderr: '', stdout: 'now' }, 0);
});

test.after(() => rmSync(folder, { recursive: true, force: true }));
test.run();
