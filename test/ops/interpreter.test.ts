// The op table on the interpreter: references against formulas written index by index.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Interpreter, isProblem, type Kind, ops, parse, print } from '../../src/ir/index.ts';
import { filter, seed } from '../settings.ts';
import { dataOf } from './case.ts';
import { cases } from './cases.ts';
import { closeTo } from './compare.ts';

for (const opCase of cases) {
  test(opCase.name, () => {
    const { weights, steps, expected } = dataOf(opCase, seed);
    const symbols = opCase.sequences === undefined ? {} : { S: opCase.sequences };
    const run = new Interpreter(opCase.graph, { weights, symbols });
    for (const [i, inputs] of steps.entries()) {
      const { outputs } = run.step(inputs);
      assert.equal(Object.keys(outputs).sort(), Object.keys(expected[i]!).sort());
      for (const [name, wanted] of Object.entries(expected[i]!)) {
        closeTo(`${opCase.name}, step ${i}, ${name}`, outputs[name], wanted, opCase.tolerance ?? 1e-6);
      }
    }
  });
}

test('graphs of the table survive print and parse', () => {
  for (const { graph } of cases) assert.equal(parse(print(graph)), graph);
});

test('every op has a case, and the graph of a case has its op', () => {
  if (filter !== '') return;
  const covered = new Set(cases.map((opCase) => opCase.op));
  assert.equal(
    Object.keys(ops).filter((kind) => !covered.has(kind as Kind)),
    [],
  );
  for (const { name, op, graph } of cases)
    assert.ok(
      graph.nodes.some((node) => node.op === op),
      name,
    );
});

test('names of cases are unique', () => {
  const names = cases.map((opCase) => opCase.name);
  assert.equal(
    names.filter((name, i) => names.indexOf(name) !== i),
    [],
  );
});

test('costs are finite, and no less than zero', () => {
  for (const { name, graph } of cases) {
    const types = new Map(
      [...graph.inputs, ...graph.weights, ...graph.states, ...graph.nodes.flatMap((node) => node.results)].map((v) => [
        v.id,
        v.type,
      ]),
    );
    for (const node of graph.nodes) {
      const op = ops[node.op as Kind];
      const operands = node.inputs.map((id) => types.get(id)!);
      assert.not(isProblem(op.infer(operands, node.attrs)));
      const { flops, bytes } = op.cost(operands, node.attrs, { T: 3, S: 2 });
      assert.ok(Number.isFinite(flops) && flops >= 0 && Number.isFinite(bytes) && bytes >= 0, `${name}: ${node.op}`);
    }
  }
});

test.run();
