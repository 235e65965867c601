// The addon in worker threads, under the garbage collector, without memory, and called wrongly: typed errors, no crash.

import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { Worker } from 'node:worker_threads';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { NativeAddon } from '../../src/runtime/native-addon.ts';
import { buildRelay, relayContinuation, relayTable, relayWeights } from './relay-addon.ts';

const test = suite('addon environments');
const path = buildRelay();

/** Plain JavaScript over the bare addon: loads with `delay` ms per token; `step(n)` runs n tokens of sequence 0. */
const program = (delay: number) => `
  const addon = require(${JSON.stringify(path)});
  const data = (dtype, data) => ({ dtype, data });
  const weights = new addon.Weights();
  const loading = weights.load([
    data('f32', Float32Array.from({ length: 257 }, (_, v) => v + 1)),
    data('i32', Int32Array.from(${JSON.stringify([...relayTable])})),
    data('f32', Float32Array.of(${delay})),
  ], 2, false);
  let session;
  const sequences = 2;
  const open = () => loading.then(() => (session = new addon.Session(weights, 2, [16, sequences])));
  const step = async (n) => {
    const logits = new Float32Array(n * 257);
    const ids = Int32Array.from({ length: n }, (_, i) => i + 1);
    await session.step([n, sequences], [ids, ids.map((_, i) => i), new Int32Array(n)], [logits]);
    return logits.subarray(-257).indexOf(Math.max(...logits.subarray(-257)));
  };
`;

const exitOf = (worker: Worker) => new Promise<number>((resolve) => worker.once('exit', resolve));

/** Runs JavaScript in a process of its own. */
const run = (code: string, node: string[] = [], shell?: string) => {
  const [command, args] = shell
    ? ['sh', ['-c', `${shell}; exec "$0" "$@"`, process.execPath, ...node, '-e', code]]
    : [process.execPath, [...node, '-e', code]];
  return spawnSync(command as string, args as string[], { encoding: 'utf8', timeout: 300_000 });
};

test('several worker threads at once', async () => {
  const said = await Promise.all(
    [1, 2, 3, 4].map(
      (n) =>
        new Promise((resolve, reject) => {
          const code = `${program(0)} open().then(() => step(${n})).then((x) => require('worker_threads').parentPort.postMessage(x))`;
          const worker = new Worker(code, { eval: true });
          worker.once('message', resolve);
          worker.once('error', reject);
        }),
    ),
  );
  assert.equal(
    said,
    [1, 2, 3, 4].map(
      (n) =>
        relayContinuation(
          Array.from({ length: n }, (_, i) => i + 1),
          1,
        )[0],
    ),
  );
});

test('a worker terminated during a step or a load ends, and the process goes on', async () => {
  for (const wait of [0, 5, 40, 80]) {
    const code = `${program(5)} open().then(() => { setInterval(() => {}, 1000); require('worker_threads').parentPort.postMessage(0); return step(16); })`;
    const worker = new Worker(code, { eval: true });
    const exit = exitOf(worker);
    if (wait >= 40) await new Promise((resolve) => worker.once('message', resolve));
    await new Promise((resolve) => setTimeout(resolve, wait));
    await worker.terminate();
    await exit;
  }
});

test('a process that exits during a step exits at once and cleanly', () => {
  const { status, signal, stderr } = run(
    `${program(5)} open().then(() => { step(16); setTimeout(() => process.exit(7), 20); })`,
  );
  assert.equal([status, signal], [7, null], stderr);
});

test('objects that nobody disposed go with the garbage', () => {
  const { status, stderr, stdout } = run(
    `${program(0)} open().then(async () => {
      const held = session; session = undefined;
      for (let round = 0; round < 30; round++) {
        const more = Array.from({ length: 4 }, () => new addon.Session(weights, 2, [16, sequences]));
        session = more[0]; await step(3);
        global.gc(); await new Promise(setImmediate);
      }
      session = undefined; global.gc(); await new Promise((r) => setTimeout(r, 50)); global.gc();
      const threads = require('fs').readdirSync('/proc/self/task').length;
      console.log(String(held.bytes() > 0 && threads < 40));
    })`,
    ['--expose-gc'],
  );
  assert.is(status, 0, stderr);
  assert.match(stdout, 'true');
});

test('a step keeps its session although nobody else does', () => {
  const { status, stderr, stdout } = run(
    `${program(3)} open().then(async () => {
      const running = step(16); session = undefined;
      for (let i = 0; i < 10; i++) { global.gc(); await new Promise((r) => setTimeout(r, 3)); }
      console.log(String(await running));
    })`,
    ['--expose-gc'],
  );
  assert.is(status, 0, stderr);
  assert.is(
    stdout.trim(),
    String(
      relayContinuation(
        Array.from({ length: 16 }, (_, i) => i + 1),
        1,
      )[0],
    ),
  );
});

test('out of memory is an error with a code, not the end', () => {
  const { status, stdout, stderr } = run(
    `const addon = require(${JSON.stringify(path)});
     const weights = new addon.Weights();
     weights.load([null, null, null], 2000, false).then(
       () => { try { for (const all = []; ; ) all.push(new addon.Session(weights, 512, [16, 8])); } catch (e) { console.log(e.code, e.message); } },
       (e) => console.log(e.code, e.message))`,
    [],
    'ulimit -v 3000000',
  );
  assert.is(status, 0, stderr);
  assert.match(stdout, /^out-of-memory /);
});

test('wrong arguments from JavaScript are refused', async () => {
  const addon = createRequire(import.meta.url)(path) as NativeAddon;
  const codeOf = async (run: () => unknown): Promise<string> => {
    try {
      await run();
    } catch (error) {
      return (error as { code?: string }).code ?? 'no code';
    }
    return 'nothing was thrown';
  };
  const { gain, table, delay } = relayWeights();
  const sources = [gain!, table!, delay!];
  const weights = new addon.Weights();
  assert.is(await codeOf(() => new addon.Session(weights, 1, [16, 1])), 'disposed', 'not loaded yet');
  assert.is(await codeOf(() => weights.load([null], 1, false)), 'native-failure');
  const short = { ...gain!, data: new Float32Array(3) } as never;
  assert.is(await codeOf(() => new addon.Weights().load([short, null, null], 1, false)), 'native-failure');
  const lying = { path: import.meta.filename, begin: 2 ** 40, dtype: 'f32' } as const;
  assert.is(await codeOf(() => new addon.Weights().load([lying, null, null], 1, false)), 'safetensors-truncated');
  const missing = { path: '/nowhere', begin: 0, dtype: 'f32' } as const;
  assert.is(await codeOf(() => new addon.Weights().load([missing, null, null], 1, false)), 'weights-unreadable');
  await weights.load(sources, 1, false);
  assert.is(await codeOf(() => new addon.Session(weights, 1, [16])), 'native-failure');
  const session = new addon.Session(weights, 1, [16, 2]);
  const good = () => [1, 2, 3].map(() => new Int32Array(2));
  const out = () => [new Float32Array(2 * 257)];
  const calls: [number[], Int32Array[], Float32Array[]][] = [
    [[2], good(), out()],
    [[2, 3], good(), out()],
    [[0, 2], good(), out()],
    [[17, 2], good(), out()],
    [[2, 2], good().slice(1), out()],
    [[2, 2], [...good().slice(1), new Int32Array(3)], out()],
    [[2, 2], [...good().slice(1), undefined as never], out()],
    [[2, 2], good(), [new Float32Array(257)]],
  ];
  for (const call of calls) {
    const code = await codeOf(() => session.step(...call));
    assert.ok(['native-failure', 'too-many-tokens'].includes(code), code);
  }
  const running = session.step([2, 2], good(), out());
  assert.is(await codeOf(() => session.step([2, 2], good(), out())), 'native-failure', 'one at a time');
  await running;
  session.dispose();
  session.dispose();
  assert.is(await codeOf(() => session.step([2, 2], good(), out())), 'disposed');
});

test.run();
