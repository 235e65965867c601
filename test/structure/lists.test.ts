// Nothing is written and then left out: ops, passes, templates, kernels and switches are all listed, used and tested.

import { readdirSync } from 'node:fs';
import { join, sep } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { fusedOps, ops, primitiveOps } from '../../src/ir/index.ts';
import { pipeline } from '../../src/passes/index.ts';
import { switches } from '../../src/support/env.ts';
import { cases } from '../ops/cases.ts';
import { filesUnder, importsOf, root, textOf, withoutComments } from './sources.ts';

const names = (folder: string, extension: RegExp): string[] =>
  filesUnder(folder, extension).map((path) => path.slice(folder.length + 1).replace(extension, ''));

const test = suite('lists');

test('every op is a file of its name, and every file an op of the table', () => {
  const files = names('src/ir/ops', /\.ts$/).filter((name) => name !== 'index');
  assert.equal(files.sort(), Object.keys(ops).sort());
  for (const [name, { kind }] of Object.entries(ops)) assert.is(kind, name);
  assert.is(Object.keys(primitiveOps).length + Object.keys(fusedOps).length, Object.keys(ops).length);
});

test('every op has cases in test/ops', () => {
  const tested = new Set<string>(cases.map(({ op }) => op));
  for (const kind of Object.keys(ops)) assert.ok(tested.has(kind), `${kind} has no case`);
});

test('every pass is a file of its name with cases before and after', () => {
  const files = new Set(names('src/passes', /\.ts$/));
  const texts = new Set(names('test/passes', /\.txt$/));
  for (const { name } of pipeline) {
    assert.ok(files.has(name), `src/passes/${name}.ts`);
    assert.ok(texts.has(name), `test/passes/${name}.txt`);
  }
  // A file of src/passes that exports a function of its own name is a pass.
  const listed = new Set(pipeline.map(({ name }) => name));
  for (const name of files) {
    const isPass = new RegExp(`export (?:const|function) ${name}\\b[^\\n]*\\(graph: Graph, trail\\?: Trail\\): Graph`);
    if (isPass.test(textOf(`src/passes/${name}.ts`))) assert.ok(listed.has(name), `${name} is not in the pipeline`);
  }
});

test('every template is rendered by name, is a kernel, or is a part of another', () => {
  const codegen = filesUnder('src/codegen', /\.ts$/).map(textOf).join('\n');
  const templates = filesUnder('templates', /\.hbs$/)
    .map(textOf)
    .join('\n');
  const kernels = codegen.match(/const kernelViews[^{]*\{[^}]*\}[^{]*\{([^}]*)\}/s)?.[1] ?? codegen;
  for (const name of names('templates', /\.hbs$/)) {
    const kernel = name.match(/\/kernels\/(\w+)$/)?.[1];
    const used =
      codegen.includes(`'${name}'`) ||
      templates.includes(`{{> ${name}}}`) ||
      (kernel !== undefined && new RegExp(`\\b${kernel}: `).test(kernels));
    assert.ok(used, `templates/${name}.hbs is used by nobody`);
  }
});

test('every test file is run', () => {
  const run = filesUnder('test', /\.test\.ts$/);
  const all = readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' });
  const tests = all.filter((path) => path.endsWith('.test.ts')).map((path) => `test/${path.replaceAll(sep, '/')}`);
  assert.equal([...run].sort(), tests.sort());
});

test('templates stay thin', () => {
  for (const path of filesUnder('templates', /\.hbs$/)) {
    const lines = textOf(path).split('\n');
    assert.ok(lines.length <= 120, `${path} has ${lines.length} lines`);
    const blocks = textOf(path).match(/\{\{#/g)?.length ?? 0;
    assert.ok(blocks <= 8, `${path} has ${blocks} blocks: decide in the view`);
  }
});

test('every header of native/cpu is used by emitted code or another header', () => {
  const users = [
    ...filesUnder('native', /\.(h|cc)$/).filter((path) => !path.includes('/test/')),
    ...filesUnder('templates', /\.hbs$/),
  ].map((path) => [path, textOf(path)] as const);
  const views = filesUnder('src/codegen', /\.ts$/).map(textOf).join('\n');
  for (const name of names('native/cpu', /\.h$/).filter((name) => !name.includes('/'))) {
    const included = users.some(([path, text]) => path !== `native/cpu/${name}.h` && text.includes(`${name}.h"`));
    assert.ok(included || views.includes(`header: '${name}'`), `native/cpu/${name}.h is used by nobody`);
  }
});

test('every switch is read somewhere', () => {
  const readers = [...filesUnder('src', /\.ts$/), ...filesUnder('test', /\.ts$/)]
    .filter((path) => path !== 'test/structure/lists.test.ts')
    .map((path) => withoutComments(textOf(path)))
    .join('\n');
  for (const name of Object.keys(switches)) assert.match(readers, new RegExp(`readSwitch\\('${name}'\\)`), name);
});

test('every file of src is imported by another, but for the public faces', () => {
  const faces = new Set([
    'src/index.ts',
    'src/models/index.ts',
    'src/runtime/index.ts',
    'src/compile.ts',
    'src/cli/main.ts',
    'src/build/model-file-hooks.ts', // node:module loads it
  ]);
  const files = filesUnder('src', /\.ts$/);
  const imported = new Set(files.flatMap((path) => importsOf(path).map(({ target }) => target)));
  for (const path of files) assert.ok(faces.has(path) || imported.has(path), `${path} is imported by nobody`);
});

test('every error of the catalogue is thrown somewhere', () => {
  const texts = filesUnder('src', /\.ts$/).filter((path) => !path.startsWith('src/support/errors/'));
  const used = texts.map((path) => withoutComments(textOf(path))).join('\n');
  for (const path of filesUnder('src/support/errors', /\.ts$/)) {
    const own = withoutComments(textOf(path));
    for (const [, name] of own.matchAll(/^export (?:function|const) (\w+)/gm)) {
      const calls = own.match(new RegExp(`\\b${name}\\(`, 'g'))?.length ?? 0;
      assert.ok(new RegExp(`\\b${name}\\b`).test(used) || calls > 1, `${path}: ${name} is thrown by nobody`);
    }
  }
});

test.run();
