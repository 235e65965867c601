// The package as a user installs it: packed, unpacked into another project, its command and its API at work there.

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import '../build-folder.ts';
import { root } from '../cli/run-command.ts';

const test = suite('installed package');
let project: string;

test.before(() => {
  project = mkdtempSync(join(tmpdir(), 'ultramem-installed-'));
  const modules = join(project, 'node_modules');
  mkdirSync(modules);
  const packed = execFileSync('npm', ['pack', '--json', '--pack-destination', project], {
    cwd: root,
    encoding: 'utf8',
  });
  const [{ filename }] = JSON.parse(packed.slice(packed.indexOf('[\n'))) as [{ filename: string }];
  execFileSync('tar', ['xzf', join(project, filename), '-C', project]);
  execFileSync('mv', [join(project, 'package'), join(modules, 'ultramem')]);
  // Its dependencies, without asking the registry.
  for (const name of readdirSync(join(root, 'node_modules'))) {
    if (!name.startsWith('.')) symlinkSync(join(root, 'node_modules', name), join(modules, name));
  }
  writeFileSync(join(project, 'package.json'), '{"type": "commonjs"}');
  writeFileSync(
    join(project, 'model.ts'),
    `import { linear, model } from 'ultramem';
export default model('installed', (m) => {
  const x = m.input('x', [m.symbol('T', { bound: 4 }), 8]);
  m.output('y', linear(x, m.weight('w', [4, 8])));
});
`,
  );
});
test.after(() => rmSync(project, { recursive: true, force: true }));

/** Runs node in the project; what it prints. */
function node(...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: project, encoding: 'utf8' });
  assert.is(status, 0, stderr);
  return stdout;
}

test('holds what it needs and no tests', () => {
  const names = readdirSync(join(project, 'node_modules/ultramem'), { recursive: true, encoding: 'utf8' });
  for (const name of [
    'LICENSE',
    'README.md',
    'dist/index.js',
    'dist/index.d.ts',
    'native/cpu/linear.h',
    'templates/cpu/model.cc.hbs',
    'templates/page/page.css',
  ])
    assert.ok(names.includes(name), name);
  assert.equal(
    names.filter((name) => /(^|\/)test\/|\.safetensors$|\.node$|^examples\/server/.test(name)),
    [],
  );
});

test('its command compiles a model of the project', () => {
  const command = join(project, 'node_modules/ultramem/bin/ultramem.js');
  const { name, dir } = JSON.parse(node(command, 'compile', 'model.ts', '--json')) as { name: string; dir: string };
  assert.equal([name, dir], ['installed', join(project, 'generated/installed')]);
});

test('its command writes the page of a model of the project', () => {
  const command = join(project, 'node_modules/ultramem/bin/ultramem.js');
  node(command, 'inspect', 'model.ts', '--html', 'page.html');
  const page = readFileSync(join(project, 'page.html'), 'utf8');
  assert.match(page, /<h1>installed<\/h1>/);
  assert.ok(page.includes("m.output('y', linear(x, m.weight('w', [4, 8])));"), 'the line of the model');
  assert.not.ok(page.includes(project), 'no path of this machine');
});

test('a program loads, compiles and runs the model', () => {
  writeFileSync(
    join(project, 'program.mjs'),
    `import { createRequire } from 'node:module';
import { compile, loadModel } from 'ultramem/compile';
import { openNative } from 'ultramem/runtime';
const { addon, cached } = await compile(await loadModel('model.ts'));
const w = { dtype: 'f32', shape: [4, 8], data: new Float32Array(32).fill(0.5) };
const { native, session } = await openNative(createRequire(import.meta.url)(addon), { w });
const { y } = await session.forward({ x: new Float32Array(8).fill(2) });
console.log(JSON.stringify({ cached, y: [...y.data] }));
session.dispose();
native.dispose();
`,
  );
  assert.equal(JSON.parse(node('program.mjs')), { cached: true, y: [8, 8, 8, 8] });
});

test.run();
