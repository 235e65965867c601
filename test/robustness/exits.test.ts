// A process ends in the middle of a step or a load as it was told to: at once, with its exit code, without a crash and without a word.
// Every moment is tried at random delays; `SEED=` replays them.

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
import { bareProgram, type Ended, ending, now } from './bare-program.ts';
import { WIDTH } from './marked-table.ts';
import { smallRows, smallTable } from './pooling.ts';

const test = suite('robustness: exits');
const seed = Number(readSwitch('SEED') ?? Math.floor(Math.random() * 2 ** 31));
const random = new Random(seed, 'exits');
const folder = freshFolder('exits');
const narrow = join(folder, 'narrow.safetensors');

/** Tries at random delays below `most` milliseconds, two at a time. */
async function tries(count: number, most: number, one: (delay: number) => Promise<void>): Promise<void> {
  const delays = Array.from({ length: Math.ceil(count) }, () => Math.floor(random.uniform() * most * 10) / 10);
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

for (const [target, T, count, most] of [
  ['cpu', 512, 30, 60],
  ['simt', 4, 10, 300],
] as const) {
  const bare = async () =>
    bareProgram((await compile(bytesLm, { target, outDir: freshFolder('exits') })).addon, checkpoint);

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
    await tries(count / 3, most, async (delay) => {
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
    await tries(count / 3, most, async (delay) => {
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
  await tries(30, 100, async (delay) => {
    const ended = await ending(
      `${bareProgram(addon, narrow)} setTimeout(() => { ${now} process.exit(7); }, ${delay});
       (async () => { for (;;) { const weights = await load(${delay > 50}); weights.dispose(); } })();`,
    );
    assertEnded(ended, { code: 7, signal: null, stderr: '' }, delay);
  });
});

test('the end of the program waits for a load', async () => {
  const { addon } = await compile(smallTable, { outDir: freshFolder(smallTable.name) });
  const ended = await ending(`${bareProgram(addon, narrow)} load(true).then(() => { ${now} });`);
  assertEnded(ended, { code: 0, signal: null, stderr: '', stdout: 'now' }, 0);
});

test.after(() => rmSync(folder, { recursive: true, force: true }));
test.run();
