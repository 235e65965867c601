// A hundred models one after another in one process leave it as the first few did: memory, files, threads, mappings. What is seen is
// printed by load-rounds.ts, which says more when it is run by hand.

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import bytesLm from '../../examples/bytes-lm/model.ts';
import { compile } from '../../src/compile.ts';
import { freshFolder } from '../build-folder.ts';
import { inLanes } from '../lanes.ts';
import type { RoundFigures } from './load-rounds.ts';

const run = promisify(execFile);
const test = suite('robustness: rounds');
const MiB = 2 ** 20;
const program = fileURLToPath(new URL('load-rounds.ts', import.meta.url));

/** V8 gives its young objects up to 32 MiB, now more and now less: figures with it would say little. */
const node = ['--max-semi-space-size=1', '--import', 'tsx'];

const cases = [
  { target: 'cpu', rounds: 100, abort: 'none', tokens: 4 },
  { target: 'cpu', rounds: 100, abort: 'load', tokens: 2 },
  { target: 'cpu', rounds: 100, abort: 'generate', tokens: 12 },
  { target: 'simt', rounds: 10, abort: 'none', tokens: 1 },
] as const;

const results = inLanes(
  cases.map(({ target, rounds, abort, tokens }) => async () => {
    const { dir } = await compile(bytesLm, { target, outDir: freshFolder(`rounds-${target}`) });
    const flags = ['--dir', dir, '--rounds', `${rounds}`, '--abort', abort, '--tokens', `${tokens}`, '--json'];
    const { stdout } = await run(process.execPath, [...node, program, ...flags], { timeout: 900_000 });
    return JSON.parse(stdout) as RoundFigures[];
  }),
);

for (const [i, { target, rounds, abort }] of cases.entries()) {
  test(`${target}: ${rounds} rounds${abort === 'none' ? '' : `, each aborted while it ${abort}s`}`, async () => {
    const figures = await results(i);
    const [first, last] = [figures[2]!, figures.at(-1)!];
    const text = JSON.stringify({ first, last });
    assert.is(last.round, rounds);
    if (abort !== 'none') assert.ok(last.aborted > rounds / 4, text);
    assert.ok(last.rss < first.rss + 8 * MiB, text);
    assert.ok(last.mappedFiles < first.mappedFiles + 2 * MiB, text);
    assert.ok(last.heap < first.heap + 2 * MiB, text);
    assert.ok(last.external < first.external + MiB, text);
    assert.ok(last.addresses < first.addresses + 128 * MiB, text);
    assert.ok(last.mappings < first.mappings + 20, text);
    assert.is(last.files, first.files, text);
    assert.is(last.threads, first.threads, text);
  });
}

test.run();
