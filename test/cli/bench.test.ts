// `ultramem bench`: the table, the JSON, and what it refuses.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import '../build-folder.ts';
import type { Bench, TextsBench } from '../../src/profile/index.ts';
import { ultramem } from './run-command.ts';

const test = suite('bench');
const model = 'test/profile/tiny.ts';
const short = ['--rounds', '2', '--seconds', '0.01'];

test('a row per size and thread count, each measured', () => {
  const { status, stdout, stderr } = ultramem(['bench', model, '--tokens', '1,4', '--threads', '1,2', ...short]);
  assert.is(status, 0, stderr);
  assert.match(stdout, /^tiny-profile, cpu, f32, random weights, 2 rounds$/m);
  assert.match(stdout, /^ *T +threads +median ms +± +least ms +tokens\/s +held ms +calls +a step of *$/m);
  for (const row of ['1 +1', '4 +1', '1 +2', '4 +2']) assert.match(stdout, new RegExp(`^ *${row} +[\\d.e-]+ `, 'm'));
});

test('JSON: figures that fit together', () => {
  const { status, stdout, stderr } = ultramem([
    'bench',
    model,
    '--tokens',
    '1,3',
    '--threads',
    '1',
    '--json',
    ...short,
  ]);
  assert.is(status, 0, stderr);
  const { steps, ...facts } = JSON.parse(stdout) as Bench;
  assert.equal([facts.model, facts.target, facts.weights, facts.rounds], ['tiny-profile', 'cpu', 'random', 2]);
  assert.equal(
    steps.map(({ tokens, threads, holds }) => [tokens, threads, holds]),
    [
      [1, 1, '1 token'],
      [3, 1, '3 tokens'],
    ],
  );
  for (const { calls, min, median, spread, tokens, tokensPerSecond, held } of steps) {
    assert.ok(held >= 0 && Number.isFinite(held), `${held}`);
    assert.ok(calls >= 6 && min > 0 && min <= median && spread >= 0, JSON.stringify(steps));
    assert.ok(Math.abs((tokensPerSecond * median) / (1000 * tokens) - 1) < 1e-9);
  }
});

test('tokens and threads are whole numbers, and no more tokens than the model takes', () => {
  assert.match(ultramem(['bench', model, '--threads', '0']).stderr, /whole numbers from 1/);
  const many = ultramem(['bench', model, '--tokens', '1,5', '--json']);
  assert.is(many.status, 1);
  assert.is(JSON.parse(many.stdout).error.code, 'too-many-tokens');
});

test('texts at once: a row per number and way of calling; steps are not asked for beside', () => {
  const lm = 'examples/bytes-lm/model.ts';
  const run = (...args: string[]) =>
    ultramem(['bench', lm, '--texts', '1,3', '--threads', '1', '--rounds', '1', ...args]);
  const { status, stdout, stderr } = run('--json');
  assert.is(status, 0, stderr);
  const { texts, prompt, continued, model: name } = JSON.parse(stdout) as TextsBench;
  assert.equal([name, prompt, continued], ['bytes-lm', 64, 64]);
  assert.equal(
    texts.map(({ texts, threads, calls }) => [texts, threads, calls]),
    [
      [1, 1, 'at once'],
      [3, 1, 'at once'],
      [3, 1, 'one by one'],
    ],
  );
  for (const { tokensPerSecond, first, latest, rounds } of texts) {
    assert.ok(tokensPerSecond > 0 && first > 0 && latest >= first && rounds.length === 1, JSON.stringify(texts));
  }
  assert.match(run().stdout, /^ *3 +1 +one by one +\d+ +[\d.e+-]+ +[\d.e+-]+ *$/m);
  assert.is(run('--tokens', '4').status, 2);
  const layer = ultramem(['bench', model, '--texts', '2', '--json']);
  assert.is(JSON.parse(layer.stdout).error.code, 'not-a-language-model');
});

test.run();
