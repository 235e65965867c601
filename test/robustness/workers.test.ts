// One addon in several worker threads and the main one at the same time: the same text as alone; workers that are terminated or end
// without a word leave nothing behind; all of them map one copy of the weights.

import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import bytesLm from '../../examples/bytes-lm/model.ts';
import { compile } from '../../src/compile.ts';
import { tensor, writeSafetensors } from '../../src/runtime/index.ts';
import { freshFolder } from '../build-folder.ts';
import { checkpoint, type EmittedClass } from '../compiled-model.ts';
import { isMapped, processFigures } from '../process-figures.ts';
import { WIDTH } from './marked-table.ts';
import { smallRows, smallTable } from './pooling.ts';
import type { WorkerTask } from './worker-program.ts';

const test = suite('robustness: workers');
const program = new URL('./worker-program.ts', import.meta.url).href;
const prompt = 'In';

function start(task: Pick<WorkerTask, 'dir' | 'maxTokens' | 'does'> & Partial<WorkerTask>): Worker {
  const workerData: WorkerTask = { className: 'BytesLm', weights: checkpoint, prompt, ...task };
  const code = `import('tsx/esm/api').then(({ register }) => (register(), import(${JSON.stringify(program)})))`;
  return new Worker(code, { eval: true, workerData });
}

const messageOf = (worker: Worker): Promise<unknown> =>
  new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
const exitOf = (worker: Worker): Promise<unknown> => new Promise((resolve) => worker.once('exit', resolve));

for (const [target, maxTokens] of [
  ['cpu', 48],
  ['simt', 1],
] as const) {
  const compiled = async () => {
    const { dir } = await compile(bytesLm, { target, outDir: freshFolder(`workers-${target}`) });
    const { BytesLm } = (await import(pathToFileURL(`${dir}/model.ts`).href)) as { BytesLm: EmittedClass };
    return { dir, BytesLm };
  };
  const alone = async (BytesLm: EmittedClass): Promise<string> => {
    await using model = await BytesLm.load(checkpoint, { threads: 2, maxSequences: 1 });
    return (await model.complete(prompt, { maxTokens, temperature: 0 })).text;
  };

  test(`${target}: workers and the main thread at once say what each says alone`, async () => {
    const { dir, BytesLm } = await compiled();
    const text = await alone(BytesLm);
    const workers = [1, 2].map(() => start({ dir, maxTokens, does: 'text' }));
    const exits = workers.map(exitOf);
    const own = [alone(BytesLm), alone(BytesLm)];
    assert.equal(await Promise.all([...workers.map(messageOf), ...own]), new Array(4).fill(text));
    assert.equal(await Promise.all(exits), [0, 0]);
  });

  test(`${target}: workers that are terminated in the middle, or end without dispose, leave nothing behind`, async () => {
    const { dir, BytesLm } = await compiled();
    await using held = await BytesLm.load(checkpoint, { threads: 1, maxSequences: 1 });
    const { text } = await held.complete(prompt, { maxTokens, temperature: 0 });
    const before = processFigures();
    for (const does of ['steps', 'leaves', 'loads'] as const) {
      const worker = start({ dir, maxTokens, does });
      const exit = exitOf(worker);
      await messageOf(worker);
      if (does !== 'leaves') {
        const began = performance.now();
        await worker.terminate();
        assert.ok(performance.now() - began < 2000, `${does}: terminated in ${performance.now() - began} ms`);
      }
      await exit;
      assert.is((await held.complete(prompt, { maxTokens, temperature: 0 })).text, text);
    }
    const after = processFigures();
    assert.is(after.threads, before.threads);
    assert.is(after.files, before.files);
    assert.ok(after.addresses < before.addresses + 2 ** 30, 'addresses');
  });
}

test('weights in a file are mapped by each, and in memory once', async () => {
  const folder = freshFolder('workers-file');
  const weights = join(folder, 'table.safetensors');
  await writeSafetensors(weights, { table: tensor('f32', [smallRows, WIDTH], new Float32Array(smallRows * WIDTH)) });
  const { dir } = await compile(smallTable, { outDir: freshFolder(smallTable.name) });
  const { SmallTable } = (await import(pathToFileURL(`${dir}/model.ts`).href)) as { SmallTable: EmittedClass };
  using held = await SmallTable.load(weights, { threads: 1 });
  const alone = ownPages(weights);
  const worker = start({ dir, className: 'SmallTable', weights, maxTokens: 0, does: 'holds' });
  await messageOf(worker);
  const both = ownPages(weights);
  const exit = exitOf(worker);
  worker.postMessage('enough');
  await exit;
  assert.equal(alone, { mappings: 1, bytes: 0 });
  assert.equal(both, { mappings: 2, bytes: 0 });
  assert.equal(ownPages(weights), alone);
  held.dispose();
  assert.is(isMapped(weights), false);
  rmSync(folder, { recursive: true, force: true });
});

/** Mappings of a file, and bytes of them that are no longer the file's. */
function ownPages(path: string): { readonly mappings: number; readonly bytes: number } {
  const parts = readFileSync('/proc/self/smaps', 'utf8').split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m);
  const mapped = parts.filter((part) => part.split('\n', 1)[0]!.endsWith(` ${path}`));
  const kilobytes = mapped.map((part) => Number(/^Anonymous:\s+(\d+) kB/m.exec(part)![1]));
  return { mappings: mapped.length, bytes: 1024 * kilobytes.reduce((a, b) => a + b, 0) };
}

test.run();
