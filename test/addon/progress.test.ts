// What a load tells while it runs: from nothing to everything, once each, never back; and an end of it at any point leaves nothing.

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { compile, trace } from '../../src/compile.ts';
import { loadInterpreted } from '../../src/interpret-engine.ts';
import { openModel } from '../../src/open-model.ts';
import {
  loadNative,
  type OnProgress,
  type Progress,
  requireAddon,
  tensor,
  type UltramemError,
  writeSafetensors,
} from '../../src/runtime/index.ts';
import { freshFolder } from '../build-folder.ts';
import type { EmittedClass } from '../compiled-model.ts';
import { isMapped, processFigures } from '../process-figures.ts';
import { WIDTH } from '../robustness/marked-table.ts';
import { smallRows, smallTable } from '../robustness/pooling.ts';
import { rejects } from '../robustness/rejection.ts';
import { loadRelay, relayWeights } from './relay-addon.ts';

const test = suite('progress of loading');
const folder = freshFolder('progress');
const path = join(folder, 'table.safetensors');
const narrow = join(folder, 'narrow.safetensors');
const elements = smallRows * WIDTH;
await writeSafetensors(path, { table: tensor('f32', [smallRows, WIDTH], new Float32Array(elements).fill(1)) });
await writeSafetensors(narrow, { table: tensor('bf16', [smallRows, WIDTH], new Uint16Array(elements).fill(1)) });
const relay = loadRelay();
const { dir, addon } = await compile(smallTable, { outDir: freshFolder(smallTable.name) });
const { SmallTable } = (await import(pathToFileURL(`${dir}/model.ts`).href)) as { SmallTable: EmittedClass };
const table = requireAddon(pathToFileURL(addon).href, 'small-table.node');

/** A callback that keeps what it is told. */
function noting(): { readonly told: Progress[]; readonly onProgress: OnProgress } {
  const told: Progress[] = [];
  return { told, onProgress: (progress) => told.push(progress) };
}

/** From nothing to everything, once each, never back. */
function assertWhole(told: readonly Progress[], total: number): void {
  const text = JSON.stringify(told);
  assert.ok(told.length >= 2, text);
  assert.is(told[0]!.done, 0, text);
  assert.is(told.at(-1)!.done, total, text);
  for (const [i, { done, total: all }] of told.entries()) {
    assert.is(all, total, text);
    if (i > 0) assert.ok(done! > told[i - 1]!.done!, text);
  }
}

test('files that are mapped, copied and converted, and arrays', async () => {
  for (const [weights, copy, total] of [
    [path, false, 1], // nothing is gone through
    [path, true, 4 * elements],
    [narrow, false, 4 * elements],
    [{ table: tensor('f32', [smallRows, WIDTH], new Float32Array(elements)) }, false, 4 * elements],
  ] as const) {
    const { told, onProgress } = noting();
    using _loaded = await loadNative(table, weights, { copy, onProgress });
    assertWhole(told, total);
  }
});

test('a load tells of each stage while it goes on', async () => {
  const { told, onProgress } = noting();
  using _loaded = await loadNative(relay, relayWeights(60), { onProgress });
  assertWhole(told, 257 * 4 + 2 * 257 * 4 + 4 + 1000);
  assert.ok(told.length >= 5, JSON.stringify(told));
  assert.equal([...new Set(told.map(({ stage }) => stage))].at(-1), 'preparing weights');
});

test('kernels of a device: what moves there counts as well', async () => {
  const simt = await compile(smallTable, { target: 'simt', outDir: freshFolder('progress-simt') });
  const emitted = (await import(pathToFileURL(`${simt.dir}/model.ts`).href)) as { SmallTable: EmittedClass };
  const { told, onProgress } = noting();
  using _loaded = await emitted.SmallTable.load(narrow, { onProgress });
  assertWhole(told, 8 * elements);
  assert.is(told.at(-1)!.stage, 'moving weights to the device');
});

test('the emitted class, a session on any target, and the interpreter hand it on', async () => {
  const emitted = noting();
  using _loaded = await SmallTable.load(narrow, { onProgress: emitted.onProgress });
  assertWhole(emitted.told, 4 * elements);
  const cpu = noting();
  using _session = await openModel(smallTable, narrow, { target: 'cpu', maxSequences: 1, onProgress: cpu.onProgress });
  assert.is(cpu.told[0]!.stage, 'translating');
  assertWhole(
    cpu.told.filter(({ stage }) => stage.endsWith('weights')),
    4 * elements,
  );
  const read = noting();
  using _interpreted = await openModel(smallTable, narrow, {
    target: 'interpreter',
    maxSequences: 1,
    onProgress: read.onProgress,
  });
  assertWhole(read.told, 2 * elements);
});

test('what the callback throws ends the load, at its beginning, in the middle and at its end', async () => {
  const before = processFigures();
  const enough = new Error('enough');
  for (const at of [0, 1, Number.POSITIVE_INFINITY]) {
    const throwing: OnProgress = ({ done, total }) => {
      if (done! >= Math.min(at, total!)) throw enough;
    };
    for (const load of [
      () => loadNative(relay, relayWeights(60), { onProgress: throwing }),
      () => loadNative(table, narrow, { onProgress: throwing }),
      () => SmallTable.load(path, { copy: true, onProgress: throwing }),
      () => loadInterpreted(trace(smallTable), narrow, { onProgress: throwing }),
    ]) {
      const error = await load().then(
        (loaded) => loaded.dispose(),
        (thrown) => thrown,
      );
      assert.is(error, enough);
    }
  }
  const after = processFigures();
  assert.is(after.threads, before.threads);
  assert.is(after.files, before.files);
  assert.ok(after.rss < before.rss + 40 * 2 ** 20);
  assert.is(isMapped(narrow), false);
});

test('an abort at any point: the code says so, at once, and nothing is left', async () => {
  const before = processFigures();
  let aborts = 0;
  for (const load of [
    (signal: AbortSignal) => loadNative(relay, relayWeights(30), { signal }),
    (signal: AbortSignal) => loadNative(table, narrow, { signal, threads: 1 }),
    (signal: AbortSignal) => loadNative(table, path, { signal, copy: true }),
    (signal: AbortSignal) => SmallTable.load(path, { signal, copy: true }),
    (signal: AbortSignal) => loadInterpreted(trace(smallTable), path, { signal }),
  ]) {
    for (let round = 0; round < 5; round++) {
      const controller = new AbortController();
      let aborted = performance.now();
      setTimeout(() => {
        aborted = performance.now();
        controller.abort(new Error('enough'));
      }, 8 * round);
      const ended = await load(controller.signal).catch((error: UltramemError) => error);
      if (!('code' in ended)) {
        ended.dispose();
        continue;
      }
      assert.is(ended.code, 'aborted');
      assert.is((ended.cause as Error).message, 'enough');
      assert.ok(performance.now() - aborted < 1000);
      aborts++;
    }
  }
  assert.ok(aborts >= 8, `${aborts} of 25 loads were aborted`);
  const after = processFigures();
  assert.is(after.threads, before.threads);
  assert.is(after.files, before.files);
  assert.ok(after.rss < before.rss + 40 * 2 ** 20, `${after.rss - before.rss} bytes more`);
  assert.is(isMapped(path) || isMapped(narrow), false);
});

test('an abort by the callback itself, at the very end', async () => {
  const controller = new AbortController();
  const onProgress: OnProgress = ({ done, total }) => {
    if (done === total) controller.abort();
  };
  await rejects(loadNative(table, narrow, { onProgress, signal: controller.signal }), 'aborted');
  await rejects(loadInterpreted(trace(smallTable), narrow, { onProgress, signal: controller.signal }), 'aborted');
});

test.after(() => rmSync(folder, { recursive: true, force: true }));
test.run();
