// Tables that stay in their file: the same results, nothing copied, refused where they would have to be read as a whole, and a file
// that is cut short while it is mapped ends in an error, not in the end of the process.

import { copyFileSync, rmSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { embedding, linear, type Model, model, mul, reshape, sum } from 'ultramem';
import { layerFromConfig, ultramemV1 } from 'ultramem/models';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { compile, translate } from '../../src/compile.ts';
import { readSafetensors, type Tensor, tensor, writeSafetensors } from '../../src/runtime/index.ts';
import { DiagnosticsError } from '../../src/support/diagnostics.ts';
import { openGoldens } from '../../src/verify/golden.ts';
import { freshFolder } from '../build-folder.ts';
import { compiledLayer, type EmittedClass, layerCase } from '../compiled-model.ts';
import { Random } from '../random.ts';
import { rejects } from './rejection.ts';

const test = suite('robustness: tables in files');
const folder = freshFolder('file-tables');
const x = new Random(1, 'x').f32([5, 64]);
const [golden] = await openGoldens(layerCase);

/** The layer of `layerCase`, and beside it rows of a second table that no stage 2 chooses. */
const inFile: Model = model('file-tables', (m) => {
  const T = m.symbol('T');
  const options = layerFromConfig(golden!.config);
  const given = m.input('x', [T, options.width]);
  m.output('y', ultramemV1(m, given, { ...options, valuePlacement: 'file' }));
  const rows = m.input('rows', [T, 3], { dtype: 'i32', below: 4096 });
  const table = m.weight('table', [4096, 512], { placement: 'file' });
  m.output('row', embedding(table, rows));
});

const { dir } = await compile(inFile, { outDir: freshFolder('file-tables-model') });
const FileTables = ((await import(pathToFileURL(`${dir}/model.ts`).href)) as Record<string, EmittedClass>).FileTables!;

const layerWeights: Record<string, Tensor> = Object.fromEntries(
  Object.entries(await readSafetensors(layerCase))
    .filter(([name]) => name.startsWith('w.'))
    .map(([name, t]) => [name.slice(2), t]),
);
const table = new Random(2, 'table').f32([4096, 512]);
const weights = { ...layerWeights, table };
const path = join(folder, 'weights.safetensors');
await writeSafetensors(path, weights);
const rows = tensor('i32', [5, 3], Int32Array.of(0, 4095, 7, 2048, 2049, 2049, 1, 1000, 3000, 4000, 5, 6, 8, 9, 10));

const expectedRows = [...rows.data].flatMap((row) => [...table.data.subarray(row * 512, (row + 1) * 512)]);

test('the same bits as in memory, in the file, copied and given', async () => {
  const Layer = await compiledLayer();
  using reference = await Layer.load(layerWeights);
  const { y } = await reference.forward({ x });
  for (const [given, options] of [
    [path, {}],
    [path, { copy: true }],
    [path, { threads: 1 }],
    [weights, {}],
  ] as const) {
    using loaded = await FileTables.load(given, options);
    const outputs = await loaded.forward({ x, rows });
    assert.equal(outputs.y!.data, y!.data);
    assert.equal([...outputs.row!.data], expectedRows);
  }
});

test('kernels of a device read them as well', async () => {
  const simt = await compile(inFile, { target: 'simt', outDir: freshFolder('file-tables-simt') });
  const emitted = (await import(pathToFileURL(`${simt.dir}/model.ts`).href)) as Record<string, EmittedClass>;
  using reference = await FileTables.load(path);
  using loaded = await emitted.FileTables!.load(path);
  const [wanted, got] = [await reference.forward({ x, rows }), await loaded.forward({ x, rows })];
  assert.equal(got.row!.data, wanted.row!.data);
  for (const [i, y] of (got.y!.data as Float32Array).entries()) {
    assert.ok(Math.abs(y - Number(wanted.y!.data[i])) < 1e-5, `${y} at ${i}`);
  }
  const { weights: use } = loaded.memory();
  assert.is(use.inFile, 0);
  assert.ok(use.device >= 4096 * 512 * 4);
});

test('the plan asks for rows once: by stage 2, or on their own', () => {
  const { files } = translate(inFile);
  const step = files.get('step_one.cc')!;
  assert.is(step.match(/\n {2}ask_rows</g)?.length, 1);
  assert.match(step, /Prefetch\{w_\w*values_for_look_up, 256, 128, true\}/);
});

test('a checkpoint that stores the table otherwise', async () => {
  const narrow = { ...weights, table: tensor('bf16', table.shape, new Uint16Array(table.data.length)) };
  const stored = join(folder, 'narrow.safetensors');
  await writeSafetensors(stored, narrow);
  const error = await rejects(FileTables.load(stored), 'weights-not-in-place');
  assert.match(error.message, '"table"');
  assert.match(error.hint ?? '', '--precision bf16');
});

test('a table that a step or prepare reads whole', () => {
  const whole = model('whole', (m) => {
    const T = m.symbol('T');
    const given = m.input('x', [T, 64]);
    m.output('y', linear(given, m.weight('w', [32, 64], { placement: 'file' })));
  });
  const summed = model('summed', (m) => {
    const T = m.symbol('T');
    const given = m.input('x', [T, 64]);
    const w = m.weight('w', [32, 64], { placement: 'file' });
    m.output('y', mul(given, reshape(sum(w, { axis: 0 }), [1, 64])));
  });
  for (const bad of [whole, summed]) {
    for (const target of ['cpu', 'simt'] as const) {
      try {
        translate(bad, { target });
        assert.unreachable();
      } catch (error) {
        assert.is((error as { code?: string }).code, 'weight-read-whole');
        assert.match((error as Error).message, 'file-tables.test.ts');
      }
    }
  }
});

test('a placement that does not exist, and one that is not checked', () => {
  for (const options of [{ placement: 'disk' as 'file' }, { placement: 'file', dtype: 'i32', below: 9 } as const]) {
    try {
      translate(model('bad', (m) => m.output('y', m.weight('w', [4, 4], options))));
      assert.unreachable();
    } catch (error) {
      assert.ok(error instanceof DiagnosticsError);
      assert.equal(
        error.diagnostics.map(({ code }) => code),
        ['bad-option'],
      );
    }
  }
});

function freshCopy(name: string): string {
  const copy = join(folder, `${name}.safetensors`);
  copyFileSync(path, copy);
  return copy;
}

test('a file cut short between steps ends them, and nothing else', async () => {
  using other = await FileTables.load(path);
  const before = await other.forward({ x, rows });
  for (const threads of [1, 2]) {
    const copy = freshCopy(`cut-${threads}`);
    using loaded = await FileTables.load(copy, { threads });
    using second = loaded.openSession();
    await loaded.forward({ x, rows });
    truncateSync(copy, 4096);
    const error = await rejects(loaded.forward({ x, rows }), 'weights-file-changed');
    assert.match(error.message, copy);
    await rejects(second.forward({ x, rows }), 'weights-file-changed');
    truncateSync(copy, statSync(path).size); // too late
    await rejects(loaded.forward({ x, rows }), 'weights-file-changed');
    const after = await other.forward({ x, rows });
    assert.equal(after.y!.data, before.y!.data);
  }
});

test('a file cut short while steps run side by side', async () => {
  const copy = freshCopy('cut-during');
  using loaded = await FileTables.load(copy, { threads: 2 });
  const sessions = [loaded, ...Array.from({ length: 3 }, () => loaded.openSession())];
  const many = { x: new Random(3).f32([200, 64]), rows: new Random(4).i32([200, 3], 4096) };
  let steps = 0;
  const untilItFails = async (session: (typeof sessions)[number]): Promise<never> => {
    for (;;) {
      await session.forward(many);
      steps++;
    }
  };
  const ends = sessions.map((session) => rejects(untilItFails(session), 'weights-file-changed'));
  while (steps < 8) await new Promise((resolve) => setTimeout(resolve, 1));
  truncateSync(copy, 4096);
  await Promise.all(ends);
  for (const session of sessions.slice(1)) session.dispose();
});

test('mapped weights that are no tables, and a copy that no cut reaches', async () => {
  const Layer = await compiledLayer();
  const stored = join(folder, 'layer.safetensors');
  await writeSafetensors(stored, layerWeights);
  using mapped = await Layer.load(stored);
  using copied = await Layer.load(stored, { copy: true });
  const { y } = await copied.forward({ x });
  truncateSync(stored, 0);
  await rejects(mapped.forward({ x }), 'weights-file-changed');
  assert.equal((await copied.forward({ x })).y!.data, y!.data);
});

test('a file cut short while a worker thread steps on it', async () => {
  const copy = freshCopy('cut-in-worker');
  const program = new URL('./step-until-it-fails.ts', import.meta.url).href;
  const code = `import('tsx/esm/api').then(({ register }) => (register(), import(${JSON.stringify(program)})))`;
  const worker = new Worker(code, { eval: true, workerData: { dir, weights: copy } });
  const said = await new Promise((resolve, reject) => {
    worker.on('message', (message) => (message === 'stepped' ? truncateSync(copy, 4096) : resolve(message)));
    worker.on('error', reject);
  });
  assert.is(said, 'weights-file-changed');
  await worker.terminate();
  const again = freshCopy('cut-after-worker');
  using loaded = await FileTables.load(again);
  truncateSync(again, 4096);
  await rejects(loaded.forward({ x, rows }), 'weights-file-changed');
});

test.after(() => rmSync(folder, { recursive: true, force: true }));
test.run();
