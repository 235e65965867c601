// Loading model files: what a file may export, and what is said where it exports something else.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadModel } from '../../src/compile.ts';
import type { UltramemError } from '../../src/support/errors.ts';
import { freshFolder } from '../build-folder.ts';

const test = suite('load-model');
const folder = freshFolder('models');
let count = 0;

function file(text: string): string {
  const path = join(folder, `model-${count++}.ts`);
  writeFileSync(path, text);
  return path;
}

const head = "import { model } from 'ultramem';\n";
const body = "(m) => m.output('y', m.input('x', [m.symbol('T'), 4]))";

async function fault(path: string, config?: unknown): Promise<UltramemError> {
  try {
    await loadModel(path, config);
  } catch (error) {
    return error as UltramemError;
  }
  throw new Error('nothing was thrown');
}

test('a model, and a function from a config to one', async () => {
  assert.is((await loadModel(file(`${head}export default model('plain', ${body});`))).name, 'plain');
  const fromConfig = file(`${head}export default (config: { name: string }) => model(config.name, ${body});`);
  assert.is((await loadModel(fromConfig, { name: 'configured' })).name, 'configured');
});

test('a model file outside any package, or in one of CommonJS, is an ES module with what it imports', async () => {
  for (const type of [undefined, 'commonjs']) {
    const outside = mkdtempSync(join(tmpdir(), 'ultramem-model-'));
    if (type !== undefined) writeFileSync(join(outside, 'package.json'), JSON.stringify({ type }));
    writeFileSync(join(outside, 'width.ts'), 'export const width: number = 4;\n');
    writeFileSync(
      join(outside, 'model.ts'),
      `${head}import { width } from './width.ts';\nexport default model('outside', (m) => m.output('y', m.input('x', [m.symbol('T'), width])));`,
    );
    assert.is((await loadModel(join(outside, 'model.ts'))).name, 'outside');
    rmSync(outside, { recursive: true });
  }
});

test('a missing file names its neighbour', async () => {
  mkdirSync(join(folder, 'near'));
  writeFileSync(join(folder, 'near', 'model.ts'), '');
  const error = await fault(join(folder, 'near', 'modle.ts'));
  assert.is(error.code, 'model-file-missing');
  assert.match(error.message, 'Did you mean');
});

test('a file that does not run, and one without a default export', async () => {
  assert.is((await fault(file('export default 1 +;'))).code, 'model-file-broken');
  assert.is((await fault(file("throw new Error('stop');"))).code, 'model-file-broken');
  const error = await fault(file(`${head}export const m = model('a', ${body});`));
  assert.is(error.code, 'no-default-export');
  assert.match(error.hint!, 'm');
});

test('a default export that is no model', async () => {
  assert.match((await fault(file('export default 5;'))).message, 'a number');
  assert.match(
    (await fault(file('export default () => ({ layers: 2 });'))).message,
    'a function that returns an object with layers',
  );
  assert.is((await fault(file('export default null;'))).code, 'not-a-model');
});

test('a config that nobody takes, and one that its function refuses', async () => {
  assert.is((await fault(file(`${head}export default model('a', ${body});`), { width: 4 })).code, 'config-unused');
  const error = await fault(file("export default () => { throw new Error('width is missing'); };"), {});
  assert.is(error.code, 'model-function-failed');
  assert.match(error.message, 'width is missing');
});

test.run();
