// native/addon/lost_pages.h: a mapped file that is cut short reads as zeros and is marked; any other bus error stays what it was.

import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { readSwitch } from '../../src/support/env.ts';
import { freshFolder } from '../build-folder.ts';

const folder = freshFolder('lost-pages');
const program = join(folder, 'program');
const test = suite('lost pages');

test.before(() => {
  const native = fileURLToPath(new URL('../../native', import.meta.url));
  const source = fileURLToPath(new URL('lost-pages.cc', import.meta.url));
  const flags = ['-std=c++20', '-Wall', '-Wextra', '-Werror', '-g1', '-O1', '-pthread', `-I${native}`];
  execFileSync(readSwitch('CXX') ?? 'g++', [...flags, source, '-o', program]);
});

for (const mode of ['lost', 'before', 'again']) {
  test(mode, () => {
    const { stdout, signal } = spawnSync(program, [mode, folder], { encoding: 'utf8' });
    assert.is(stdout, 'right\n', `${signal}`);
  });
}

test('nobody', () => {
  const { stdout, signal } = spawnSync(program, ['nobody', folder], { encoding: 'utf8' });
  assert.is(signal, 'SIGBUS', stdout);
});

test.run();
