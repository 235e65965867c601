// Compiling where the machine does not play along: no compiler, one that fails, folders that cannot be written or are full,
// two processes at once, a damaged cache.

import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import which from 'which';
import { type CompileOptions, compile, loadModel } from '../../src/compile.ts';
import type { Progress } from '../../src/support/progress.ts';
import { freshFolder } from '../build-folder.ts';
import { start } from '../cli/run-command.ts';
import { rejects } from './rejection.ts';

const test = suite('robustness: build');
const folder = freshFolder('build');
const file = join(folder, 'model.ts');
writeFileSync(
  file,
  `import { model, relu } from 'ultramem';
export default model('small', (m) => m.output('y', relu(m.input('x', [m.symbol('T'), 8]))));
`,
);
const small = await loadModel(file);
let outputs = 0;
const build = (options: CompileOptions = {}) => compile(small, { outDir: join(folder, `out${outputs++}`), ...options });

/** Runs with other environment variables; undefined takes one away. */
async function withEnvironment<R>(changes: Record<string, string | undefined>, run: () => Promise<R>): Promise<R> {
  const before = { ...process.env };
  const set = (name: string, value: string | undefined): void => {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  };
  for (const [name, value] of Object.entries(changes)) set(name, value);
  try {
    return await run();
  } finally {
    for (const name of Object.keys(changes)) set(name, before[name]);
  }
}

/** An executable script. */
function script(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, `#!/bin/sh\n${text}\n`);
  chmodSync(path, 0o755);
  return path;
}

const emptyCache = (): string => freshFolder('build-cache');
const addons = (cache: string): string[] => readdirSync(join(cache, 'addons'));

test('no compiler on the PATH, or none of the name in CXX', async () => {
  const bare = join(folder, 'bare');
  mkdirSync(bare);
  const error = await withEnvironment({ PATH: bare, CXX: undefined }, () => rejects(build(), 'no-compiler'));
  assert.match(error.hint!, 'apt install g++');
  await withEnvironment({ CXX: 'no-such-compiler' }, () => rejects(build(), 'no-compiler'));
});

test('no cmake on the PATH', async () => {
  const bare = join(folder, 'compiler-only');
  mkdirSync(bare);
  symlinkSync(await which('c++'), join(bare, 'c++'));
  await withEnvironment({ PATH: bare, CXX: undefined, ULTRAMEM_CACHE: emptyCache() }, () =>
    rejects(build(), 'no-cmake'),
  );
});

test('a compiler that does not work, or knows no such processor', async () => {
  const CXX = script('broken-compiler', 'echo "no licence" >&2; exit 1');
  const error = await withEnvironment({ CXX }, () => rejects(build(), 'compiler-unusable'));
  assert.match(String(error.facts.output), 'no licence');
  await rejects(build({ march: 'z80' }), 'unknown-march');
});

test('a compiler that fails on the sources: its own words, and nothing left in the cache', async () => {
  const cache = emptyCache();
  const CXX = script(
    'failing-compiler',
    `case "$*" in *model.dir*) echo "step_one.cc:1:1: error: out of ideas" >&2; exit 1;; esac\nexec '${await which('c++')}' "$@"`,
  );
  const error = await withEnvironment({ CXX, ULTRAMEM_CACHE: cache }, () => rejects(build(), 'compile-failed'));
  assert.match(error.message, 'step_one.cc:1:1: error: out of ideas');
  assert.equal([addons(cache), readdirSync(join(cache, 'building'))], [[], []]);
});

test('an abort ends the compilers, leaves nothing behind, and the next build works', async () => {
  const cache = emptyCache();
  await withEnvironment({ ULTRAMEM_CACHE: cache }, async () => {
    await rejects(build({ signal: AbortSignal.abort() }), 'aborted');
    const controller = new AbortController();
    const onProgress = ({ stage }: Progress): void => {
      if (stage.startsWith('compiling')) setTimeout(() => controller.abort(), 300);
    };
    await rejects(build({ signal: controller.signal, onProgress }), 'aborted');
  });
  assert.equal([addons(cache), readdirSync(join(cache, 'building'))], [[], []]);
});

test('the output folder is a file, or below one', async () => {
  await rejects(build({ outDir: file }), 'not-a-folder');
  await rejects(build({ outDir: join(file, 'below') }), 'not-a-folder');
});

test('the cache folder is a file', () =>
  withEnvironment({ ULTRAMEM_CACHE: file }, async () => void (await rejects(build(), 'not-a-folder'))));

/** Uses a small file system of its own; prints why where the machine allows none. */
async function onSmallDisk(kilobytes: number, use: (place: string) => Promise<void>): Promise<void> {
  const place = freshFolder('disk');
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${kilobytes}k`, 'tmpfs', place], { encoding: 'utf8' });
  if (mounted.status !== 0) {
    console.log(`[SKIP] no file system of ${kilobytes} KB: mount says ${mounted.stderr ?? mounted.error}`);
    return;
  }
  try {
    await use(place);
  } finally {
    execFileSync('umount', ['-l', place]);
  }
}

test('folders that cannot be written', async () => {
  await onSmallDisk(64, async (place) => {
    execFileSync('mount', ['-o', 'remount,ro', place]);
    const error = await rejects(build({ outDir: join(place, 'out') }), 'folder-not-writable');
    assert.match(error.message, 'output folder');
    await withEnvironment({ ULTRAMEM_CACHE: join(place, 'cache') }, async () => {
      assert.match((await rejects(build(), 'folder-not-writable')).message, 'build cache');
    });
  });
  const locked = join(folder, 'locked');
  mkdirSync(locked, 0o500);
  if (process.getuid?.() === 0) return console.log('[SKIP] folders without write permission: root writes anywhere');
  await rejects(build({ outDir: join(locked, 'out') }), 'folder-not-writable');
});

test('full disks: no half file is left that could be taken for a whole one', async () => {
  await onSmallDisk(16, async (place) => {
    const error = await rejects(build({ outDir: join(place, 'text') }), 'disk-full');
    assert.match(error.message, 'output folder');
  });
  await onSmallDisk(100, async (place) => {
    // The text fits, the addon does not.
    const outDir = join(place, 'out');
    assert.match((await rejects(build({ outDir }), 'disk-full')).message, 'output folder');
    assert.not.ok(
      readdirSync(outDir).some((name) => name.includes('.node')),
      readdirSync(outDir).join(),
    );
  });
  await onSmallDisk(300, async (place) => {
    await withEnvironment({ ULTRAMEM_CACHE: place }, async () => {
      assert.match((await rejects(build(), 'disk-full')).message, 'build cache');
    });
    assert.equal(addons(place), []);
  });
});

test('two processes compile the same model at once; a damaged cache entry is built again', async () => {
  const cache = emptyCache();
  const ended = await Promise.all(
    ['left', 'right'].map(
      (out) =>
        new Promise<string>((resolve, reject) => {
          const child = start(['compile', file, '--out', join(folder, out)], { env: { ULTRAMEM_CACHE: cache } });
          let stderr = '';
          child.stderr!.on('data', (chunk) => (stderr += chunk));
          child.on('error', reject);
          child.on('close', (status) => resolve(status === 0 ? '' : stderr));
        }),
    ),
  );
  assert.equal(ended, ['', '']);
  const [left, right] = ['left', 'right'].map((out) => readFileSync(join(folder, out, 'small.node')));
  assert.ok(left!.equals(right!));
  assert.is(addons(cache).length, 1);
  assert.equal(readdirSync(join(cache, 'building')), []);

  await withEnvironment({ ULTRAMEM_CACHE: cache }, async () => {
    const kept = join(cache, 'addons', addons(cache)[0]!, 'small.node');
    assert.is((await build()).cached, true);
    truncateSync(kept, statSync(kept).size / 2);
    const again = await build();
    assert.is(again.cached, false, 'half an addon is none');
    assert.is(createRequire(import.meta.url)(again.addon).describe().name, 'small');
    assert.is((await build()).cached, true);
  });
});

test('a damaged entry of the toolchain cache is asked for again', async () => {
  const cache = emptyCache();
  mkdirSync(join(cache, 'toolchains'), { recursive: true });
  await withEnvironment({ ULTRAMEM_CACHE: cache }, () => rejects(build({ march: 'z80' }), 'unknown-march'));
  const { findToolchain } = await import('../../src/build/toolchain.ts');
  const first = await findToolchain('native', cache);
  for (const text of ['', '{', '{"compiler": 1}', 'null']) {
    for (const name of readdirSync(join(cache, 'toolchains'))) writeFileSync(join(cache, 'toolchains', name), text);
    assert.equal(await findToolchain('native', cache), first);
  }
});

test.after(() => rmSync(folder, { recursive: true, force: true }));
test.run();
