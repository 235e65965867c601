// generated/bytes-lm is the golden of the whole compiler: emitting the example again gives the same text.
// UPDATE=1 rewrites it; a commit that changes it says why.

import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import bytesLm from '../../examples/bytes-lm/model.ts';
import { translate } from '../../src/compile.ts';
import { update } from '../settings.ts';

const folder = fileURLToPath(new URL('../../generated/bytes-lm/', import.meta.url));
const test = suite('golden: bytes-lm');

const { files } = translate(bytesLm);
const isText = (name: string): boolean => /\.(cc|h|ts|ir|txt|json)$/.test(name);
const texts = (): string[] => (existsSync(folder) ? readdirSync(folder).filter(isText).sort() : []);

if (update) {
  mkdirSync(folder, { recursive: true });
  for (const name of texts()) if (!files.has(name)) rmSync(folder + name);
  for (const [name, text] of files) writeFileSync(folder + name, text);
}

test('the same files', () => {
  assert.equal(texts(), [...files.keys()].sort(), 'UPDATE=1 rewrites them');
});

for (const [name, text] of files) {
  test(name, () => {
    assert.ok(existsSync(folder + name), `${name} is missing; UPDATE=1 writes it`);
    const wanted = readFileSync(folder + name, 'utf8');
    if (text !== wanted) assert.fixture(text, wanted, 'UPDATE=1 rewrites it');
    assert.is(text, wanted, 'UPDATE=1 rewrites it');
  });
}

test('no text names a place on this machine or a time', () => {
  for (const [name, text] of files) {
    assert.not.match(text, /\/(home|root|work|tmp|usr|Users)\//, name);
    assert.not.match(text, /\b20[2-9]\d-\d\d-\d\d\b/, name);
    assert.not.match(text, /\bundefined\b|\[object |NaN/, name);
  }
});

test.run();
