// The frame of the command: help, usage errors, exit codes, streams.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { start, ultramem } from './run-command.ts';

const verbs = ['compile', 'generate', 'run', 'verify', 'inspect', 'profile', 'doctor'];
const test = suite('usage');

test('without a verb it prints its help', () => {
  const { status, stdout, stderr } = ultramem([]);
  assert.is(status, 0);
  assert.is(stderr, '');
  for (const verb of verbs) assert.match(stdout, new RegExp(`^  ${verb}\\b`, 'm'));
  assert.match(stdout, /Exit codes:\n {2}0 /);
});

for (const verb of verbs) {
  test(`${verb} --help has a synopsis, options and examples`, () => {
    const { status, stdout } = ultramem([verb, '--help']);
    assert.is(status, 0);
    assert.match(stdout, new RegExp(`^Usage: ultramem ${verb}`));
    assert.match(stdout, /--json/);
    assert.match(stdout, /Examples:\n {2}\$ .*ultramem /);
  });
}

test('--version is the version of package.json', async () => {
  const { default: packageJson } = await import('../../package.json', { with: { type: 'json' } });
  assert.is(ultramem(['--version']).stdout, `${packageJson.version}\n`);
});

test('an unknown verb names the nearest one', () => {
  const { status, stdout, stderr } = ultramem(['compil', 'model.ts']);
  assert.is(status, 2);
  assert.is(stdout, '');
  assert.match(stderr, /^error cli-usage: unknown command 'compil'\n\(Did you mean compile\?\)/);
});

test('an unknown option names the nearest one', () => {
  const { status, stderr } = ultramem(['compile', 'model.ts', '--marsh', 'native']);
  assert.is(status, 2);
  assert.match(stderr, /unknown option '--marsh'\n\(Did you mean --march\?\)/);
});

test('a value that an option does not take is a usage error', () => {
  for (const args of [
    ['run', 'm.ts', '--weights', 'w', '--inputs', 'i', '--target', 'gpu'],
    ['run', 'm.ts', '--weights', 'w', '--inputs', 'i', '--threads', '0'],
    ['generate', 'm.ts', '--weights', 'w', '--prompt', 'p', '--top-p', 'much'],
    ['generate', 'm.ts', '--weights', 'w', '--prompt', 'p', '--greedy', '--temperature', '1'],
  ]) {
    const { status, stderr } = ultramem(args);
    assert.is(status, 2, stderr);
    assert.match(stderr, /^error cli-usage: /);
  }
});

test('a missing argument is a usage error, in JSON under --json', () => {
  const { status, stdout, stderr } = ultramem(['compile', '--json']);
  assert.is(status, 2);
  assert.is(stderr, '');
  assert.is(JSON.parse(stdout).error.code, 'cli-usage');
});

test('doctor says what is there', () => {
  const { status, stdout } = ultramem(['doctor', '--json']);
  const { ready, facts } = JSON.parse(stdout) as {
    ready: boolean;
    facts: { name: string; state: string; found: string; advice?: string }[];
  };
  assert.is(status, ready ? 0 : 1);
  const names = facts.map(({ name }) => name);
  for (const name of ['Node', 'C++ compiler', 'CMake', 'processor', 'memory', 'build cache', 'CUDA'])
    assert.ok(names.includes(name), name);
  assert.is(facts.find(({ name }) => name === 'Node')?.state, 'ok');
  const cuda = facts.find(({ name }) => name === 'CUDA')!;
  if (cuda.found.includes('no driver library'))
    assert.match(cuda.advice!, /target cuda: no-driver, .* Install NVIDIA's driver/);
});

test('doctor says what to do where the compiler is missing', () => {
  const { status, stdout } = ultramem(['doctor'], { env: { PATH: '/nonexistent', CXX: 'no-such-compiler' } });
  assert.is(status, 1);
  assert.match(stdout, /MISSING\s+C\+\+ compiler\s+no C\+\+ compiler found \(tried no-such-compiler\)/);
  assert.match(stdout, /apt install g\+\+/);
  assert.match(stdout, /Not ready/);
});

test('a reader that goes away ends it quietly', async () => {
  const child = start(['doctor']);
  child.stdout!.destroy();
  let stderr = '';
  child.stderr!.setEncoding('utf8').on('data', (text) => (stderr += text));
  const status = await new Promise((resolve) => child.on('close', resolve));
  assert.is(status, 0);
  assert.not.match(stderr, /EPIPE/);
});

test.run();
