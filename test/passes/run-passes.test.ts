// The runner: order, log, verification, and what a failing pass leaves for its reproduction.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Graph, parse, print } from '../../src/ir/index.ts';
import { deadCode, foldConstants, type Pass, pipeline } from '../../src/passes/index.ts';
import { PassError, runPasses } from '../../src/passes/run-passes.ts';
import { InvariantError, type UltramemError } from '../../src/support/errors.ts';

const test = suite('passes: runner');

// Reproducers of this file's failures.
let folder: string;
const temporary = process.env.TMPDIR;
test.before(() => {
  folder = mkdtempSync(join(tmpdir(), 'passes-'));
  process.env.TMPDIR = folder;
});
test.after(() => {
  rmSync(folder, { recursive: true });
  if (temporary === undefined) delete process.env.TMPDIR;
  else process.env.TMPDIR = temporary;
});

const graph = parse(`graph g {
  symbol T <= 8 step
  input %x : f32[T,4]
  step {
    %one = constant {value=1, dtype="f32"}
    %y = binary %x, %one {fn="mul"}
    %z = unary %x {fn="relu"}
  }
  output y = %y
}`);

test('every pass is logged, in order, with what it did', () => {
  const seen: string[] = [];
  const { graph: after, log } = runPasses(graph, { onPass: (run, g) => seen.push(`${run.pass} ${g.nodes.length}`) });
  assert.equal(
    log.map(({ pass }) => pass),
    pipeline.map((pass) => pass.name),
  );
  assert.equal(
    log.filter(({ changed }) => changed).map(({ pass, nodesBefore, nodesAfter }) => [pass, nodesBefore, nodesAfter]),
    [
      ['deadCode', 3, 2],
      ['foldConstants', 2, 0],
    ],
  );
  assert.is(seen.length, pipeline.length);
  assert.is(after.nodes.length, 0);
  assert.is(after.outputs[0]!.value, 'x');
});

test('a graph that no pass changes stays the same object', () => {
  const { graph: after } = runPasses(graph);
  assert.is(runPasses(after).graph, after);
});

/** A pass that leaves a node with an operand that is defined nowhere. */
const breakOperand: Pass = (g: Graph) => ({ ...g, nodes: g.nodes.map((node) => ({ ...node, inputs: ['nowhere'] })) });

test('a graph that is not well formed stops the run, with the graph before it', () => {
  try {
    runPasses(graph, { passes: [deadCode, breakOperand, foldConstants] });
    assert.unreachable('nothing was thrown');
  } catch (error) {
    assert.instance(error, PassError);
    assert.instance(error, InvariantError);
    const { pass, reproducer, reproducerFile, message } = error as PassError;
    assert.is(pass, 'breakOperand');
    assert.match(message, 'breakOperand failed on graph g');
    assert.match(message, 'nowhere');
    assert.is(reproducer, `// pass: breakOperand\n${print(deadCode(graph))}`);
    assert.equal(parse(reproducer), deadCode(graph));
    assert.match(message, `ultramem inspect ${reproducerFile}`);
    assert.is(readFileSync(reproducerFile!, 'utf8'), reproducer);
    assert.is(dirname(dirname(reproducerFile!)), folder);
  }
});

/** Runs with a switch set. */
function withSwitch(name: string, value: string, run: () => void): void {
  const before = process.env[name];
  process.env[name] = value;
  try {
    run();
  } finally {
    if (before === undefined) delete process.env[name];
    else process.env[name] = before;
  }
}

test('VERIFY=0 does not look', () => {
  withSwitch('VERIFY', '0', () => runPasses(graph, { passes: [breakOperand] }));
});

test('AFTER stops behind a pass and shows its graph', () => {
  withSwitch('AFTER', 'deadCode', () => {
    const shown = (error: Error) => error.message === `the graph after deadCode:\n${print(deadCode(graph))}`;
    assert.throws(() => runPasses(graph, { passes: [deadCode, breakOperand] }), shown);
  });
  withSwitch('AFTER', 'fuseGridTop', () => {
    const corrected = (error: Error) => /Did you mean "fuseGridTopk"/.test((error as UltramemError).hint ?? '');
    assert.throws(() => runPasses(graph), corrected);
  });
});

test('a pass that throws', () => {
  const throwing: Pass = function throwing() {
    throw new RangeError('no such thing');
  };
  assert.throws(() => runPasses(graph, { passes: [throwing] }), /pass throwing failed on graph g: no such thing/);
});

test.run();
