// `ultramem compile` and `inspect`: what they write, print and refuse.

import { existsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parse } from '../../src/ir/index.ts';
import '../build-folder.ts';
import { inTemporaryFolder, root, ultramem } from './run-command.ts';

const test = suite('compile, inspect');
const model = 'examples/bytes-lm/model.ts';

test('compile writes the text and the addon where it is told to', () =>
  inTemporaryFolder((folder) => {
    const { status, stdout, stderr } = ultramem(['compile', model, '--out', folder, '--json']);
    assert.is(status, 0, stderr);
    const { name, dir, addon } = JSON.parse(stdout) as { name: string; dir: string; addon: string };
    assert.equal([name, dir], ['bytes-lm', folder]);
    for (const path of [addon, join(folder, 'model.ts'), join(folder, 'plan.txt')]) assert.ok(existsSync(path), path);
  }));

test('a fault in the model file is shown where it stands, with exit code 1', () =>
  inTemporaryFolder((folder) => {
    const file = join(folder, 'faulty.ts');
    const lines = [
      "import { linear, model } from 'ultramem';",
      "export default model('faulty', (m) => {",
      "  const x = m.input('x', [m.symbol('T'), 8]);",
      "  m.output('y', linear(x, m.weight('w', [4, 9])));",
      '});',
    ];
    writeFileSync(file, lines.join('\n'));
    for (const verb of ['compile', 'inspect']) {
      const { status, stderr } = ultramem([verb, file]);
      assert.is(status, 1);
      assert.match(stderr, /faulty\.ts:4:17/);
      assert.match(stderr, /\^/);
    }
    const { error } = JSON.parse(ultramem(['compile', file, '--json']).stdout) as { error: { code: string } };
    assert.type(error.code, 'string');
  }));

test('a model file that is not there names its neighbours', () => {
  const { status, stderr } = ultramem(['compile', 'examples/bytes-lm/modle.ts']);
  assert.is(status, 1);
  assert.match(stderr, /^error model-file-missing: /);
  assert.match(stderr, 'model.ts');
});

test('inspect tells what fused and what did not', () => {
  const { status, stdout } = ultramem(['inspect', model]);
  assert.is(status, 0);
  assert.match(stdout, /score_topk .* in one kernel/);
  assert.match(stdout, /rescore_topk/);
  assert.match(stdout, /gather_pool/);
});

test('every stage of inspect prints, and graphs parse again', () => {
  for (const stage of ['before', 'after', 'passes', 'fusion', 'plan']) {
    const { status, stdout } = ultramem(['inspect', model, '--stage', stage]);
    assert.is(status, 0);
    if (stage === 'before' || stage === 'after') assert.ok(parse(stdout).nodes.length > 100);
  }
});

test('inspect --json holds the plan; the text of a graph is inspected as a model is', () => {
  const { plan, notes } = JSON.parse(ultramem(['inspect', model, '--json']).stdout);
  assert.ok(plan.memory.prepared > 0);
  const graph = JSON.parse(ultramem(['inspect', 'generated/bytes-lm/graph.before.ir', '--json']).stdout);
  assert.equal(graph.plan.memory, plan.memory);
  assert.is(graph.notes.length, notes.length);
});

test('inspect plans for a device where it is asked to', () => {
  const { plan } = JSON.parse(ultramem(['inspect', model, '--json', '--target', 'cuda']).stdout);
  assert.is(plan.target, 'cuda');
  assert.ok(plan.variants.every((v: { launches: { stream: number }[] }) => v.launches.some((l) => l.stream === 1)));
});

test('inspect --html writes a page, says so on stderr, and prints only what else is asked for', () =>
  inTemporaryFolder((folder) => {
    const page = join(folder, 'page.html');
    const graph = 'generated/bytes-lm/graph.before.ir';
    const quiet = ultramem(['inspect', graph, '--html', page]);
    assert.equal([quiet.status, quiet.stdout], [0, '']);
    const [, size] = /^page written to \S+: ([\d.]+) KiB in [\d.]+ s\n$/.exec(quiet.stderr) ?? [];
    assert.is(size, (statSync(page).size / 1024).toFixed(1));
    const told = ultramem(['inspect', graph, '--html', page, '--target', 'cuda', '--json']);
    assert.is(JSON.parse(told.stdout).plan.target, 'cuda');
    assert.match(ultramem(['inspect', graph, '--html', page, '--stage', 'fusion']).stdout, /^267 nodes became/);
  }));

test('inspect --html refuses a path that cannot be written', () =>
  inTemporaryFolder((folder) => {
    const graph = 'generated/bytes-lm/graph.before.ir';
    for (const [path, hint] of [
      [folder, 'It is a folder'],
      [join(folder, 'none', 'page.html'), 'Its folder does not exist'],
      [join(root, 'README.md', 'page.html'), 'Part of the path is a file'],
    ] as const) {
      const { status, stdout, stderr } = ultramem(['inspect', graph, '--html', path]);
      assert.equal([status, stdout], [1, '']);
      assert.match(stderr, /^error cli-unwritable-file: cannot write the page /);
      assert.ok(stderr.includes(hint), stderr);
    }
  }));

test('the text of a graph that is broken is refused at its line', () =>
  inTemporaryFolder((folder) => {
    const file = join(folder, 'broken.ir');
    writeFileSync(file, 'graph g {\n  nonsense\n');
    assert.match(ultramem(['inspect', file]).stderr, /^error ir-syntax: line 2, column 3/);
    assert.match(ultramem(['inspect', join(folder, 'none.ir')]).stderr, /^error cli-unreadable-file: /);
  }));

test.run();
