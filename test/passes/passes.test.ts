// One file per pass, <pass>.txt: cases of a title (`=== …`), prose, the graph before, `---`, and the graph after.
// UPDATE=1 rewrites what stands after `---`; FILTER=text runs the cases whose title contains it.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parse, print } from '../../src/ir/index.ts';
import { type Pass, pipeline } from '../../src/passes/index.ts';
import { dataFor } from '../arbitrary-graph.ts';
import { filter, seed, update } from '../settings.ts';
import { sameMeaning } from './meaning.ts';

const test = suite('passes');

interface Case {
  readonly title: string;
  readonly prose: string;
  readonly before: string;
  readonly after: string;
}

function parseCases(text: string): Case[] {
  return text
    .split(/^=== /m)
    .slice(1)
    .map((part) => {
      const [, title, prose, before, after] = /^(.*)\n([\s\S]*?)^(graph [\s\S]*?)^---\n([\s\S]*)$/m.exec(part) ?? [];
      assert.ok(title && prose && before, `a case needs a title, prose, a graph and ---:\n${part}`);
      return { title, prose: prose.trim(), before, after: (after ?? '').trim() };
    });
}

const textOf = (cases: readonly Case[]): string =>
  cases
    .map(({ title, prose, before, after }) => `=== ${title}\n${prose}\n\n${before.trim()}\n---\n${after.trim()}\n`)
    .join('\n');

/** What a case expects where the pass leaves the graph as it is. */
const unchanged = 'unchanged';

function afterPass(pass: Pass, { before }: Case): string {
  const graph = parse(before);
  const after = pass(graph);
  if (after === graph) return unchanged;
  sameMeaning(graph, after, dataFor(graph, seed));
  assert.is(pass(after), after, 'a second run changes the graph');
  return print(after).trim();
}

for (const pass of new Set(pipeline)) {
  const path = fileURLToPath(new URL(`${pass.name}.txt`, import.meta.url));
  if (!existsSync(path)) {
    test(pass.name, () => assert.unreachable(`${pass.name}.txt is missing: write a case, then UPDATE=1`));
    continue;
  }
  const cases = parseCases(readFileSync(path, 'utf8'));
  if (update) writeFileSync(path, textOf(cases.map((c) => ({ ...c, after: afterPass(pass, c) }))));
  for (const one of cases.filter(({ title }) => `${pass.name}: ${title}`.includes(filter))) {
    test(`${pass.name}: ${one.title}`, () => {
      const after = afterPass(pass, one);
      if (!update) assert.fixture(after, one.after, 'UPDATE=1 rewrites it');
      if (!update) assert.is(after, one.after);
    });
  }
}

test.run();
