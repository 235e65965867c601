// The README's tables say what the code says.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { exitCodes } from '../../src/cli/exit-codes.ts';
import { program } from '../../src/cli/main.ts';
import type { Terminal } from '../../src/cli/terminal.ts';
import { debugLevels, switches } from '../../src/support/env.ts';
import { root, textOf } from './sources.ts';

const readme = textOf('README.md');

/** Rows of the table whose first heading cell is `head`, cells without back-ticks. */
function table(head: string): string[][] {
  const lines = readme.split('\n');
  const start = lines.findIndex((line) => line.startsWith(`| ${head} |`));
  assert.ok(start >= 0, `the README has no table "${head}"`);
  const rows: string[][] = [];
  for (let i = start + 2; lines[i]?.startsWith('|'); i++) {
    rows.push(
      lines[i]!.split('|')
        .slice(1, -1)
        .map((cell) => cell.trim().replaceAll('`', '')),
    );
  }
  return rows;
}

const test = suite('readme');

test('verbs', () => {
  const commands = program({} as Terminal).commands.map((command) => [command.name(), command.description()]);
  assert.equal(table('verb'), commands);
});

test('exit codes', () => {
  assert.equal(
    table('exit code'),
    Object.entries(exitCodes).map(([code, meaning]) => [code, meaning]),
  );
});

test('environment switches', () => {
  assert.equal(
    table('switch'),
    Object.entries(switches).map(([name, { takes, doc }]) => [name, takes, doc]),
  );
});

test('levels of DEBUG', () => {
  assert.equal(
    table('level of `DEBUG`'),
    Object.entries(debugLevels).map(([level, shows]) => [level, shows]),
  );
});

test('links lead to files', () => {
  for (const [, target] of readme.matchAll(/\]\((?!https?:)([^)#]+)\)/g)) {
    assert.ok(existsSync(join(root, target!)), `the README links to ${target}`);
  }
});

test('scripts it names exist', () => {
  const { scripts } = JSON.parse(textOf('package.json')) as { scripts: Record<string, string> };
  for (const [, name] of readme.matchAll(/\bnpm run ([\w:-]+)/g)) assert.ok(scripts[name!], `npm run ${name}`);
});

test.run();
