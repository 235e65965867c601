// Building: the cache starts no compiler twice, two at once both succeed, and every fault of the machine has its code.

import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { add, linear, model, rmsNorm } from 'ultramem';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import which from 'which';
import { buildAddon } from '../../src/build/build-addon.ts';
import { compile, translate } from '../../src/compile.ts';
import { UltramemError } from '../../src/support/errors.ts';
import { freshFolder } from '../build-folder.ts';

const test = suite('build');
const require = createRequire(import.meta.url);

/** A model of one linear and one norm; `width` makes it another one. */
const block = (width: number) =>
  model('small-block', (m) => {
    const x = m.input('x', [m.symbol('T', { bound: 16 }), width]);
    const y = linear(x, m.weight('w', [width, width]));
    m.output('y', add(x, rmsNorm(y, m.weight('g', [width]), { eps: 1e-5 })));
  });

/** Runs with other environment variables and puts the old ones back. */
async function withEnvironment<T>(changes: Record<string, string>, run: () => Promise<T>): Promise<T> {
  const before = Object.fromEntries(Object.keys(changes).map((name) => [name, process.env[name]]));
  Object.assign(process.env, changes);
  try {
    return await run();
  } finally {
    for (const [name, value] of Object.entries(before)) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  }
}

async function failure(run: () => Promise<unknown>): Promise<UltramemError> {
  try {
    await run();
  } catch (error) {
    assert.instance(error, UltramemError, String(error));
    return error as UltramemError;
  }
  throw new Error('nothing was thrown');
}

/** A program that notes each start in a file and then runs the real one. */
async function counted(program: string, folder: string, script = ''): Promise<{ path: string; starts: () => number }> {
  const path = join(folder, program);
  const log = join(folder, `${program}.log`);
  writeFileSync(path, `#!/bin/sh\necho "$@" >> '${log}'\n${script}\nexec '${await which(program)}' "$@"\n`, {
    mode: 0o755,
  });
  return { path, starts: () => (existsSync(log) ? readFileSync(log, 'utf8').split('\n').length - 1 : 0) };
}

test('an addon is built once, and a second compile starts no compiler', async () => {
  const folder = freshFolder('cache');
  const compiler = await counted('c++', folder);
  await withEnvironment({ ULTRAMEM_CACHE: join(folder, 'cache'), CXX: compiler.path }, async () => {
    // Two at once, into different folders.
    const [a, b] = await Promise.all([
      compile(block(8), { outDir: join(folder, 'a') }),
      compile(block(8), { outDir: join(folder, 'b') }),
    ]);
    assert.is(a.digest, b.digest);
    assert.ok(readFileSync(a.addon).equals(readFileSync(b.addon)));
    assert.is(readdirSync(join(folder, 'cache', 'building')).length, 0, 'nothing temporary stays');
    assert.is(readdirSync(join(folder, 'cache', 'addons')).length, 1);
    assert.type(require(a.addon).describe, 'function');

    const starts = compiler.starts();
    assert.ok(starts > 0);
    const written = statSync(a.addon).mtimeMs;
    const again = await compile(block(8), { outDir: join(folder, 'a') });
    assert.ok(again.cached);
    assert.is(compiler.starts(), starts, 'a second compile starts no compiler');
    assert.is(statSync(a.addon).mtimeMs, written, 'nothing is written that is there already');

    // A broken entry is built again.
    rmSync(join(folder, 'cache', 'addons', readdirSync(join(folder, 'cache', 'addons'))[0]!, 'small-block.node'));
    assert.not((await compile(block(8), { outDir: join(folder, 'a') })).cached);
  });
});

test('progress is told, and an abort ends the compiler with a code', async () => {
  const folder = freshFolder('abort');
  const controller = new AbortController();
  const stages: string[] = [];
  const error = await withEnvironment({ ULTRAMEM_CACHE: join(folder, 'cache') }, () =>
    failure(() =>
      compile(block(12), {
        outDir: join(folder, 'out'),
        signal: controller.signal,
        onProgress: ({ stage }) => {
          stages.push(stage);
          if (stage.startsWith('compiling')) controller.abort();
        },
      }),
    ),
  );
  assert.is(error.code, 'aborted');
  assert.equal(stages.slice(0, 2), ['translating', 'compiling what all models share']);
  assert.is(readdirSync(join(folder, 'cache', 'building')).length, 0);
});

test('no compiler on the PATH', async () => {
  const folder = freshFolder('no-compiler');
  const error = await withEnvironment({ PATH: folder, CXX: '', ULTRAMEM_CACHE: join(folder, 'cache') }, () =>
    failure(() => compile(block(8), { outDir: join(folder, 'out') })),
  );
  assert.is(error.code, 'no-compiler');
  assert.match(error.hint!, 'CXX');
});

test('no CMake on the PATH', async () => {
  const folder = freshFolder('no-cmake');
  symlinkSync(await which('c++'), join(folder, 'c++'));
  const error = await withEnvironment({ PATH: folder, ULTRAMEM_CACHE: join(folder, 'cache') }, () =>
    failure(() => compile(block(8), { outDir: join(folder, 'out') })),
  );
  assert.is(error.code, 'no-cmake');
});

test('a compiler that is too old, or none at all', async () => {
  const folder = freshFolder('old-compiler');
  const old = join(folder, 'old');
  writeFileSync(old, '#!/bin/sh\ncase "$*" in *dM*) echo "#define __GNUC__ 9";; *) echo "old 9.1";; esac\n', {
    mode: 0o755,
  });
  const broken = join(folder, 'broken');
  writeFileSync(broken, '#!/bin/sh\necho "no licence" >&2\nexit 1\n', { mode: 0o755 });
  const compileWith = (CXX: string) =>
    withEnvironment({ CXX, ULTRAMEM_CACHE: join(folder, 'cache') }, () =>
      failure(() => compile(block(8), { outDir: join(folder, 'out') })),
    );
  assert.is((await compileWith(old)).code, 'compiler-too-old');
  const error = await compileWith(broken);
  assert.is(error.code, 'compiler-unusable');
  assert.match(String(error.facts.output), 'no licence');
});

test('a processor that the compiler does not know', async () => {
  const folder = freshFolder('march');
  const error = await failure(() => compile(block(8), { outDir: folder, march: 'pdp11' }));
  assert.is(error.code, 'unknown-march');
});

test("sources that do not compile give the compiler's own lines", async () => {
  const folder = freshFolder('refused');
  const files = new Map(translate(block(8)).files);
  files.set('model.cc', `${files.get('model.cc')}\nint nonsense = "text";\n`);
  const error = await withEnvironment({ ULTRAMEM_CACHE: join(folder, 'cache') }, () =>
    failure(() => buildAddon('small-block', files, { outDir: join(folder, 'out') })),
  );
  assert.is(error.code, 'compile-failed');
  const [first] = error.facts.errors as string[];
  assert.match(first!, /^model\.cc:\d+:\d+: error: /);
  assert.not(existsSync(join(folder, 'out', 'small-block.node')));
  assert.is(readdirSync(join(folder, 'cache', 'building')).length, 0);
});

test('folders that cannot be written', async () => {
  const folder = freshFolder('folders');
  writeFileSync(join(folder, 'file'), '');
  const output = await failure(() => compile(block(8), { outDir: join(folder, 'file', 'out') }));
  assert.is(output.code, 'not-a-folder');
  assert.match(output.message, 'output folder');
  assert.match(output.hint!, '--out');

  const cache = await withEnvironment({ ULTRAMEM_CACHE: join(folder, 'file') }, () =>
    failure(() => compile(block(8), { outDir: join(folder, 'out') })),
  );
  assert.is(cache.code, 'not-a-folder');
  assert.match(cache.hint!, 'ULTRAMEM_CACHE');

  if (process.getuid?.() !== 0) {
    const locked = join(folder, 'locked');
    mkdirSync(locked, { mode: 0o555 });
    assert.is((await failure(() => compile(block(8), { outDir: join(locked, 'out') }))).code, 'folder-not-writable');
  }
});

test.run();
