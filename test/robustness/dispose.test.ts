// Memory, threads and mappings go when a block ends, not at some later time; what is disposed says so; what nobody disposed goes with
// the garbage.

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { compile, trace } from '../../src/compile.ts';
import { describeGraph, loadInterpreted } from '../../src/interpret-engine.ts';
import {
  loadNative,
  requireAddon,
  Session,
  sessionSymbols,
  tensor,
  writeSafetensors,
} from '../../src/runtime/index.ts';
import { freshFolder } from '../build-folder.ts';
import { checkpoint, compiledBytesLm, type EmittedClass } from '../compiled-model.ts';
import { isMapped, processFigures } from '../process-figures.ts';
import { WIDTH } from './marked-table.ts';
import { smallRows, smallTable } from './pooling.ts';
import { rejects } from './rejection.ts';

const test = suite('robustness: dispose');
const MiB = 2 ** 20;
const folder = freshFolder('dispose');
const path = join(folder, 'table.safetensors');
const tableBytes = smallRows * WIDTH * 4;
const table = tensor('f32', [smallRows, WIDTH], new Float32Array(smallRows * WIDTH).fill(0.5));
await writeSafetensors(path, { table });
const { dir, addon } = await compile(smallTable, { outDir: freshFolder(smallTable.name) });
const { SmallTable } = (await import(pathToFileURL(`${dir}/model.ts`).href)) as { SmallTable: EmittedClass };
const native = requireAddon(pathToFileURL(addon).href, 'small-table.node');
const BytesLm = await compiledBytesLm();

/** Steps that look at every row once. */
const steps = Array.from({ length: smallRows / 4096 }, (_, i) => ({
  slots: tensor(
    'i32',
    [512, 8],
    Int32Array.from({ length: 4096 }, (_, at) => 4096 * i + at),
  ),
  scores: tensor('f32', [512, 8], new Float32Array(4096).fill(1)),
  rows: new Int32Array(512),
}));
const outputs = { pooled: new Float32Array(512 * WIDTH), row: new Float32Array(512 * WIDTH) };
async function lookAtAll(session: Session): Promise<void> {
  for (const step of steps) await session.forward(step, { outputs });
}

/** The longest step of bytes-lm for a session of two sequences. */
const longest = {
  ids: Int32Array.from({ length: 512 }, (_, i) => i % 256),
  positions: Int32Array.from({ length: 512 }, (_, i) => i % 256),
  sequence: Int32Array.from({ length: 512 }, (_, i) => Math.floor(i / 256)),
};

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

for (const copy of [true, false]) {
  test(`using: ${copy ? 'copied' : 'mapped'} weights of 128 MiB are gone when the block ends`, async () => {
    collect();
    const before = processFigures();
    let during = before;
    {
      using loaded = await SmallTable.load(path, { copy, threads: 2 });
      await lookAtAll(loaded.session);
      during = processFigures();
      assert.is(isMapped(path), !copy);
    }
    const after = processFigures();
    const [grown, left] = copy
      ? [during.rss - before.rss, after.rss - before.rss]
      : [during.mappedFiles - before.mappedFiles, after.mappedFiles - before.mappedFiles];
    assert.ok(grown > 0.98 * tableBytes, `${grown} bytes more within the block`);
    assert.ok(left < 8 * MiB, `${left} bytes more behind it`);
    assert.is(isMapped(path), false);
    assert.is(after.threads, before.threads);
    assert.is(after.files, before.files);
  });
}

test('using: weights on a simulated device, with all addresses that it stands for', async () => {
  const simt = await compile(smallTable, { target: 'simt', outDir: freshFolder('dispose-simt') });
  const emitted = (await import(pathToFileURL(`${simt.dir}/model.ts`).href)) as { SmallTable: EmittedClass };
  for (let round = 0; round < 2; round++) {
    const before = processFigures();
    {
      using loaded = await emitted.SmallTable.load(path);
      using second = loaded.openSession();
      for (const model of [loaded, second])
        await model.forward({
          slots: tensor('i32', [1, 8], new Int32Array(8)),
          scores: tensor('f32', [1, 8], new Float32Array(8)),
          rows: [1],
        });
      const during = processFigures();
      assert.ok(during.rss > before.rss + 0.98 * tableBytes);
      assert.ok(during.addresses > before.addresses + 80 * 2 ** 30);
    }
    const after = processFigures();
    assert.ok(after.rss < before.rss + 8 * MiB, `${after.rss - before.rss} bytes more`);
    assert.ok(after.addresses < before.addresses + 2 ** 30);
    assert.is(after.threads, before.threads);
  }
});

test('using: sessions, loaded weights and engines, alone', async () => {
  const loading = loadNative(native, path, { copy: true, threads: 2 });
  using loaded = await loading;
  const before = processFigures();
  {
    using session = new Session(loaded.openEngine(sessionSymbols(loaded.model, {})));
    await lookAtAll(session);
    assert.ok(processFigures().threads > before.threads);
  }
  {
    using _engine = loaded.openEngine(sessionSymbols(loaded.model, {}));
    assert.ok(processFigures().threads > before.threads);
  }
  const after = processFigures();
  assert.is(after.threads, before.threads);
  assert.ok(after.rss < before.rss + 8 * MiB);
  {
    using again = await loadNative(native, path, { copy: true, threads: 2 });
    assert.ok(again.bytes >= tableBytes && processFigures().rss > after.rss + 0.98 * tableBytes);
  }
  assert.ok(processFigures().rss < after.rss + 8 * MiB);
});

test('await using: the step in flight has ended, and all it held is gone', async () => {
  for (let round = 0; round < 4; round++) {
    const before = processFigures();
    let ended = false;
    {
      await using model = await BytesLm.load(checkpoint, { threads: 2, maxSequences: 2 });
      for (const sequence of [0, 1]) assert.is(model.session.sequences!.allocate(), sequence);
      const step = rejects(model.forward(longest), 'disposed').then(() => {
        ended = true;
      });
      await new Promise((resolve) => setTimeout(resolve, 3 * round));
      void step;
    }
    assert.is(ended, true);
    const after = processFigures();
    assert.is(after.threads, before.threads);
  }
});

test('await using: a session whose model is disposed first', async () => {
  await using held = await loadNative(native, path, { copy: true });
  const before = processFigures();
  {
    const loaded = await loadNative(native, path, { copy: true });
    await using session = new Session(loaded.openEngine(sessionSymbols(loaded.model, {})));
    loaded.dispose();
    loaded[Symbol.dispose]();
    await lookAtAll(session); // what it needs stays
    await rejects(() => loaded.openEngine({}), 'disposed');
    assert.ok(processFigures().rss > before.rss + 0.98 * tableBytes);
  }
  assert.ok(processFigures().rss < before.rss + 8 * MiB, 'the last session takes the weights with it');
  assert.ok(held.bytes >= tableBytes);
});

test('everything that is disposed says so', async () => {
  const model = await BytesLm.load(checkpoint, { threads: 1 });
  using other = model.openSession();
  const { session } = model;
  model.dispose();
  model.dispose();
  await model[Symbol.asyncDispose]();
  const step = { ids: [1], positions: [0], sequence: [0] };
  for (const call of [
    () => model.forward(step),
    () => session.sample(step, []),
    () => session.fork(0),
    () => model.complete('a'),
    () => model.generate('a').next(),
    () => model.memory(),
    () => model.openSession(),
  ]) {
    await rejects(call, 'disposed');
  }
  const { text } = await other.complete('In the beginning', { maxTokens: 4, temperature: 0 });
  assert.is(text.length, 4, 'its weights are still there for others');
});

test('the interpreter as well', async () => {
  const graph = trace(smallTable);
  const loaded = await loadInterpreted(graph, { table });
  assert.equal(loaded.model, describeGraph(graph));
  using session = new Session(loaded.openEngine({}));
  loaded.dispose();
  loaded.dispose();
  await rejects(() => loaded.openEngine({}), 'disposed');
  session.dispose();
  await rejects(session.forward(steps[0]!), 'disposed');
});

test('models that nobody disposed go with the garbage, which V8 collects for their sake', async () => {
  collect();
  const before = processFigures();
  let most = 0;
  for (let round = 0; round < 8; round++) {
    await loadNative(native, path, { copy: true, threads: 2 });
    most = Math.max(most, processFigures().rss - before.rss);
  }
  assert.ok(most < 5 * tableBytes, `${most / MiB} MiB of ${(8 * tableBytes) / MiB} were held at once`);
  for (let round = 0; round < 3; round++) {
    collect();
    await new Promise((resolve) => setTimeout(resolve, 20)); // finalizers run in turns of the event loop
  }
  const after = processFigures();
  assert.ok(after.rss < before.rss + 8 * MiB, `${(after.rss - before.rss) / MiB} MiB stayed`);
});

test('sessions that nobody disposed: their threads go as well', async () => {
  using loaded = await loadNative(native, path, { threads: 2 });
  collect();
  const before = processFigures();
  for (let round = 0; round < 40; round++) loaded.openEngine({}, 2);
  assert.ok(processFigures().threads > before.threads);
  for (let round = 0; round < 3; round++) {
    collect();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.is(processFigures().threads, before.threads);
});

test.after(() => rmSync(folder, { recursive: true, force: true }));
test.run();
