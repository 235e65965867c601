// The import table: a picture of the imports always looks like the rooms of the design.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { filesUnder, importsOf, root } from './sources.ts';

/** What the files of each room may import besides their own room. Files directly in src/ are rooms of their own. */
const mayImport: Record<string, readonly string[]> = {
  // src/<room>/
  support: [],
  ir: ['support'],
  dsl: ['ir', 'support'],
  models: ['dsl'],
  passes: ['ir', 'support'],
  plan: ['ir', 'support'],
  codegen: ['plan', 'support'],
  build: ['codegen', 'support'],
  runtime: ['support'],
  verify: ['open-model.ts', 'interpret-engine.ts', 'compile.ts', 'models', 'ir', 'runtime', 'support'],
  profile: ['open-model.ts', 'compile.ts', 'plan', 'runtime', 'support'],
  page: ['inspect.ts', 'plan', 'passes', 'ir', 'runtime', 'support'],
  cli: [
    'compile.ts',
    'inspect.ts',
    'inspect-page.ts',
    'machine.ts',
    'open-model.ts',
    'trace-run.ts',
    'replay.ts',
    'quantise.ts',
    'bits-per-byte.ts',
    'profile',
    'runtime',
    'verify',
    'support',
  ],
  // src/<file>: the public faces, and what the command stands on
  'index.ts': ['dsl', 'support'],
  'compile.ts': ['build', 'codegen', 'plan', 'passes', 'ir', 'dsl', 'support'],
  'interpret-engine.ts': ['ir', 'runtime', 'support'],
  'inspect.ts': ['compile.ts', 'runtime', 'plan', 'passes', 'ir', 'dsl', 'support'],
  'inspect-page.ts': [
    'inspect.ts',
    'page',
    'compile.ts',
    'build',
    'codegen',
    'profile',
    'runtime',
    'passes',
    'ir',
    'dsl',
  ],
  'open-model.ts': ['compile.ts', 'interpret-engine.ts', 'machine.ts', 'dsl', 'runtime', 'support'],
  'machine.ts': ['build', 'support'],
  'trace-run.ts': ['compile.ts', 'build', 'codegen', 'runtime', 'support'],
  'quantise.ts': ['runtime', 'support'],
  'bits-per-byte.ts': ['open-model.ts', 'compile.ts', 'runtime', 'support'],
  'replay.ts': ['build', 'codegen', 'support'],
};

/** npm packages and the only places that may use them. */
const packageUsers: Record<string, readonly string[]> = {
  '@huggingface/tokenizers': ['src/runtime/tokenizer-file.ts'],
  handlebars: ['src/codegen/render.ts'],
  '@dagrejs/dagre': ['src/page/drawing.ts'],
  'ts-morph': ['src/codegen/'],
  commander: ['src/cli/'],
  'cli-table3': ['src/cli/'],
  picocolors: ['src/cli/', 'src/support/diagnostics.ts'],
  'cmake-js': ['src/build/'],
  'env-paths': ['src/build/'],
  which: ['src/build/', 'src/machine.ts'],
  tsx: ['src/build/', 'bin/'],
};

const room = (path: string): string => path.split('/')[1]!;

const test = suite('imports');

for (const path of filesUnder('src', /\.ts$/)) {
  test(path, () => {
    const own = room(path);
    const allowed = mayImport[own];
    assert.ok(allowed !== undefined, `src/${own} is in no row of the import table (test/structure/imports.test.ts)`);
    for (const { specifier, target } of importsOf(path)) {
      if (target === undefined) {
        const name = specifier.startsWith('@') ? specifier.split('/').slice(0, 2).join('/') : specifier.split('/')[0]!;
        const users = packageUsers[name];
        if (users !== undefined) {
          assert.ok(
            users.some((user) => path.startsWith(user)),
            `${path} imports ${name}, which only ${users.join(', ')} may use`,
          );
        }
        assert.not.match(specifier, /^ultramem/, `${path} imports the package by its name instead of a path`);
        continue;
      }
      assert.match(specifier, /\.ts$/, `${path} imports ${specifier} without its .ts extension`);
      assert.ok(existsSync(join(root, target)), `${path} imports ${target}, which does not exist`);
      assert.match(target, /^src\//, `${path} imports ${target}, which lies outside src/`);
      const other = room(target);
      assert.ok(
        other === own || allowed.includes(other),
        `${path} imports src/${other}; src/${own} may import: ${allowed.join(', ') || 'nothing'}`,
      );
    }
  });
}

for (const path of [...filesUnder('examples', /\.ts$/), ...filesUnder('bench', /\.ts$/)]) {
  test(`${path} uses the public API only`, () => {
    for (const { specifier, target } of importsOf(path)) {
      assert.ok(target === undefined || !target.startsWith('src/'), `${path} imports ${specifier}`);
    }
  });
}

test('no files import each other in a circle', () => {
  const imports = new Map(
    filesUnder('src', /\.ts$/).map((path) => [path, new Set(importsOf(path).map(({ target }) => target))] as const),
  );
  for (let settled = true; settled; ) {
    settled = false;
    for (const [path, targets] of imports) {
      if ([...targets].some((target) => target !== undefined && imports.has(target))) continue;
      imports.delete(path);
      settled = true;
    }
  }
  assert.equal([...imports.keys()], [], 'files in circles, and what stands on them');
});

test('every room of the table exists', () => {
  const rooms = new Set(filesUnder('src', /\.ts$/).map(room));
  for (const name of Object.keys(mayImport))
    assert.ok(rooms.has(name), `src/${name} is in the import table but not in src/`);
});

test('no file is named by what it is not', () => {
  const empty = new Set(['util', 'utils', 'helper', 'helpers', 'manager', 'misc', 'common', 'fast', 'new']);
  for (const path of filesUnder('src', /\.ts$/)) {
    const words = path
      .split('/')
      .at(-1)!
      .replace(/([A-Z])/g, '-$1')
      .toLowerCase()
      .split(/[-_.]/);
    if (path === 'src/passes/commonSubexpressions.ts') continue; // the standard name of the pass
    assert.not.ok(
      words.some((word) => empty.has(word)),
      `${path}: say what it holds`,
    );
  }
});

test.run();
