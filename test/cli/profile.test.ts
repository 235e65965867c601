// `ultramem profile`: the table, the JSON, the trace, and what it refuses.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import '../build-folder.ts';
import type { Profile, TraceFile } from '../../src/profile/index.ts';
import { inTemporaryFolder, ultramem } from './run-command.ts';

const test = suite('profile');
const model = 'test/profile/tiny.ts';

test('a table per step, with a row per kernel and a total', () => {
  const { status, stdout, stderr } = ultramem(['profile', model, '--tokens', '1,2']);
  assert.is(status, 0, stderr);
  assert.match(stdout, /^T = 1 \(one\): 1 token$/m);
  assert.match(stdout, /^T = 2 \(few\): 2 tokens$/m);
  assert.match(stdout, /^kernel +line +n +must +moved +ratio +touched +flops +A100 µs +H100 µs +RTX 4090 µs$/m);
  assert.match(stdout, /^elementwise +tiny\.ts:\d+:\d+ +1 +768 +768 +1\.00 +768 +64 /m);
  assert.match(stdout, /^all +2 +836 /m);
  assert.match(stdout, /projections, not measurements/);
});

test('JSON and a trace', () =>
  inTemporaryFolder((folder) => {
    const file = join(folder, 'trace.json');
    const { status, stdout, stderr } = ultramem(['profile', model, '--json', '--trace-events', file]);
    assert.is(status, 0, stderr);
    const { steps, weights, target } = JSON.parse(stdout) as Profile;
    assert.equal([steps.length, steps[0]!.tokens, weights, target], [1, 1, 'random', 'simt']);
    const { traceEvents } = JSON.parse(readFileSync(file, 'utf8')) as TraceFile;
    assert.is(traceEvents.filter(({ ph }) => ph === 'X').length, 3 * steps[0]!.launches.length);
  }));

for (const target of ['cuda', 'cpu']) {
  test(`${target} counts nothing, and says what does`, () => {
    const { status, stderr } = ultramem(['profile', model, '--target', target]);
    assert.is(status, 1);
    assert.match(stderr, new RegExp(`^error cannot-observe: target ${target}: kernels are counted by simt alone`));
    assert.match(stderr, /simt/);
  });
}

test('tokens are whole numbers, and no more than the model takes', () => {
  const list = ultramem(['profile', model, '--tokens', '1,many']);
  assert.is(list.status, 2);
  assert.match(list.stderr, /whole numbers from 1/);
  const many = ultramem(['profile', model, '--tokens', '1,5', '--json']);
  assert.is(many.status, 1);
  assert.is(JSON.parse(many.stdout).error.code, 'too-many-tokens');
});

test.run();
