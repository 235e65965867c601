// Memory of models and sessions: estimated as it comes, refused where it is not there, given back; a table larger than the limit of
// the process is decoded from its file.

import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Model } from 'ultramem';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { compile } from '../../src/compile.ts';
import { estimate, inspect } from '../../src/inspect.ts';
import { memoryRoom } from '../../src/runtime/available-memory.ts';
import { type MemoryUse, tensor, writeSafetensors } from '../../src/runtime/index.ts';
import { freshFolder } from '../build-folder.ts';
import { checkpoint, compiledBytesLm, type EmittedClass } from '../compiled-model.ts';
import { Random } from '../random.ts';
import { ROWS, WIDTH, writeMarkedTable } from './marked-table.ts';
import { pooling, smallRows, smallTable } from './pooling.ts';
import { rejects } from './rejection.ts';

const test = suite('robustness: memory');
const folder = freshFolder('memory');
const MiB = 2 ** 20;

const inFile = pooling('larger-in-file', ROWS, 'file');
const inMemory = pooling('larger-in-memory', ROWS, 'memory');
const large = join(folder, 'large.safetensors');
await writeMarkedTable(large);

/** A process whose private memory is limited, as `ulimit -d` limits it; pages of files do not count. */
async function limited(of: Model, className: string, copy: boolean): Promise<Partial<MemoryUseOrError>> {
  const { dir } = await compile(of, { outDir: freshFolder(of.name) });
  const program = join(import.meta.dirname, 'larger-than-memory.ts');
  const { stdout, stderr } = spawnSync(
    'sh',
    [
      '-c',
      'ulimit -d 1048576; exec "$0" "$@"',
      process.execPath,
      '--import',
      'tsx',
      program,
      dir,
      className,
      large,
      copy ? '1' : '0',
    ],
    { encoding: 'utf8', timeout: 600_000 },
  );
  assert.ok(stdout.startsWith('{'), stdout + stderr);
  return JSON.parse(stdout) as Partial<MemoryUseOrError>;
}
interface MemoryUseOrError {
  steps: number;
  memory: MemoryUse;
  code: string;
  message: string;
}

test('a table of 8 GiB in a process that may have 1 GiB', async () => {
  const { steps, memory, message } = await limited(inFile, 'LargerInFile', false);
  assert.is(steps, 125, message);
  assert.is(memory!.weights.inFile, ROWS * WIDTH * 4);
  assert.ok(memory!.weights.inFileResident >= 2000 * WIDTH * 4, 'rows that were read are in memory');
  assert.ok(memory!.weights.inFileResident < 100 * MiB, 'and little else');
  assert.ok(memory!.rss < 512 * MiB);
});

test('the same table where it must be copied', async () => {
  const { code, message } = await limited(inMemory, 'LargerInMemory', true);
  assert.is(code, 'out-of-memory');
  assert.match(
    message!,
    /loading larger-in-memory takes 8,192 MiB of memory, and [\d,]+ MiB are left \(a limit of 1073741824 bytes on data/,
  );
});

test('the estimate is what comes, and what comes goes again', async () => {
  const rows = smallRows;
  const { dir } = await compile(smallTable, { outDir: freshFolder(smallTable.name) });
  const { SmallTable } = (await import(pathToFileURL(`${dir}/model.ts`).href)) as { SmallTable: EmittedClass };
  const path = join(folder, 'small.safetensors');
  await writeSafetensors(path, { table: new Random(1).f32([rows, WIDTH]) });
  const { plan } = inspect(smallTable);
  const slots = new Random(2).i32([512, 8], rows);
  const step = { slots, scores: new Random(3).f32([512, 8]), rows: tensor('i32', [512], slots.data.slice(0, 512)) };
  const before = process.memoryUsage.rss();
  for (const copy of [true, false]) {
    const loaded = await SmallTable.load(path, { copy });
    await loaded.forward(step);
    const { weights, session, expected, rss } = loaded.memory();
    const before = await estimate(plan, 1, { weights: path, copy });
    assert.equal(expected, before);
    assert.is(weights.own, before.weights.own);
    assert.is(weights.own, copy ? 128 * MiB : 0);
    assert.is(weights.mapped, before.weights.mapped);
    assert.is(weights.mapped, copy ? 0 : 128 * MiB);
    assert.ok(weights.mappedResident <= weights.mapped);
    assert.is(weights.prepared, before.weights.prepared);
    assert.is(session.arena, before.session.arena);
    assert.ok(session.scratch > 0);
    if (copy) assert.ok(rss > 128 * MiB);
    await loaded[Symbol.asyncDispose]();
  }
  assert.ok(
    process.memoryUsage.rss() < before + 48 * MiB,
    `${process.memoryUsage.rss()} bytes after, ${before} before`,
  );
});

test('figures of a language model: states by sequence', async () => {
  const BytesLm = await compiledBytesLm();
  using four = await BytesLm.load(checkpoint, { maxSequences: 4 });
  using one = four.openSession({ maxSequences: 1 });
  assert.is(four.memory().session.states, 4 * one.memory().session.states);
  assert.is(one.memory().session.states, one.memory().expected!.session.states);
  one.dispose();
  await rejects(() => one.memory(), 'disposed');
});

/** A file system with these files, as memoryRoom reads it. */
function fakeRoot(name: string, files: Readonly<Record<string, string>>): string {
  const root = join(folder, name);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(root, dirname(path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}

test('what is left is the least of all limits; pages of files count for none', () => {
  const machine = { 'proc/meminfo': 'MemTotal: 9 kB\nMemAvailable:    8000 kB\nSwapFree:   1000 kB\n' };
  assert.equal(memoryRoom(fakeRoot('machine', machine)), { bytes: 9000 * 1024, limit: 'the memory of the machine' });
  const unified = {
    ...machine,
    'proc/self/cgroup': '0::/a/b\n',
    'sys/fs/cgroup/a/b/memory.max': 'max\n',
    'sys/fs/cgroup/a/b/memory.current': '500\n',
    'sys/fs/cgroup/a/memory.max': '4000\n',
    'sys/fs/cgroup/a/memory.current': '3000\n',
    'sys/fs/cgroup/a/memory.stat': 'anon 100\ninactive_file 1500\nactive_file 500\n',
  };
  assert.equal(memoryRoom(fakeRoot('unified', unified)), { bytes: 3000, limit: 'a control group of 4000 bytes' });
  const legacy = {
    ...machine,
    'proc/self/cgroup': '9:cpu:/\n4:memory:/gone\n',
    'sys/fs/cgroup/memory/memory.limit_in_bytes': '6000\n',
    'sys/fs/cgroup/memory/memory.usage_in_bytes': '7000\n',
    'sys/fs/cgroup/memory/memory.stat': 'total_inactive_file 200\n',
  };
  assert.equal(memoryRoom(fakeRoot('legacy', legacy)), { bytes: 0, limit: 'a control group of 6000 bytes' });
  const data = {
    ...machine,
    'proc/self/limits': 'Max data size             2048                 unlimited            bytes\n',
    'proc/self/status': 'VmData:\t       1 kB\n',
  };
  assert.equal(memoryRoom(fakeRoot('data', data)), { bytes: 1024, limit: 'a limit of 2048 bytes on data (ulimit -d)' });
  assert.is(memoryRoom(fakeRoot('nothing', { 'proc/x': '' })), undefined);
  assert.ok(memoryRoom()!.bytes > 0);
});

test.after(() => rmSync(folder, { recursive: true, force: true }));
test.run();
