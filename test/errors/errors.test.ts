// Every fault of a model file, as its user sees it: test/errors/<code>/model.ts and the text expected of it. UPDATE=1 rewrites.

import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { DiagnosticsError, type Model, trace, UltramemError } from 'ultramem';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { filter, update } from '../settings.ts';

const here = dirname(fileURLToPath(import.meta.url));
const codes = readdirSync(here).filter((name) => existsSync(join(here, name, 'model.ts')));

/** What a command shows of an error: faults of a model with code frames, others as code, message and hint. */
function shown(error: UltramemError): string {
  if (error instanceof DiagnosticsError) {
    return `${error.render({ source: (file) => readFileSync(file, 'utf8'), path: (file) => basename(file) })}\n`;
  }
  return `error ${error.code}: ${error.message}\n${error.hint === undefined ? '' : `  help: ${error.hint}\n`}`;
}

const test = suite('errors');

for (const code of codes.filter((name) => name.includes(filter))) {
  test(code, async () => {
    const file = pathToFileURL(join(here, code, 'model.ts')).href;
    const { default: exported } = (await import(file)) as { default: Model | (() => Model) };
    let caught: unknown;
    try {
      trace(typeof exported === 'function' ? exported() : exported);
    } catch (error) {
      caught = error;
    }
    assert.instance(caught, UltramemError);
    const error = caught as UltramemError;
    const found = error instanceof DiagnosticsError ? error.diagnostics.map((d) => d.code) : [error.code];
    assert.ok(found.includes(code), `found ${found.join(', ')}`);
    const path = join(here, code, 'expected.txt');
    if (update) writeFileSync(path, shown(error));
    assert.ok(existsSync(path), 'UPDATE=1 writes expected.txt');
    assert.is(shown(error), readFileSync(path, 'utf8'));
  });
}

test('every code of the dsl and of its catalogue has a case', () => {
  const root = join(here, '../../src');
  const sources = [
    ...readdirSync(join(root, 'dsl')).map((name) => readFileSync(join(root, 'dsl', name), 'utf8')),
    readFileSync(join(root, 'support/errors/dsl.ts'), 'utf8'),
  ].join('\n');
  const named = [...sources.matchAll(/(?:code: |UltramemError\()'([a-z-]+)'/g)].map((match) => match[1]!);
  assert.ok(named.length > 15);
  const missing = [...new Set(named)].filter((code) => !codes.includes(code));
  assert.equal(missing, []);
});

test.run();
