// The presets after all passes, on the interpreter, against the published reference; and what the passes promise about them.

import { trace } from 'ultramem';
import { referenceName } from 'ultramem/models';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Interpreter, Uses } from '../../src/ir/index.ts';
import { runPasses } from '../../src/passes/run-passes.ts';
import { caseNames, expected, inputsOf, modelOf, openCase, relativeL2, weightsOf } from '../reference/golden.ts';

const test = suite('passes: goldens');

for (const name of caseNames) {
  test(name, async () => {
    const golden = await openCase(name);
    const { graph } = runPasses(trace(modelOf(golden)));
    assert.is(runPasses(graph).graph, graph, 'a second run of all passes changes the graph');
    const interpreter = new Interpreter(graph, { weights: await weightsOf(golden, graph), symbols: { S: 2 } });
    const { outputs } = interpreter.step(await inputsOf(golden, graph));
    for (const [output, value] of Object.entries(outputs)) {
      const error = relativeL2(value, await expected(golden, `out.${referenceName(output)}`));
      assert.ok(error <= 1e-5, `${output}: relative l2 error ${error}`);
    }
    const uses = new Uses(graph);
    for (const node of graph.nodes.filter(({ stage }) => stage === 'step')) {
      for (const { id } of node.results) assert.not(uses.isConstant(id), `${id} depends on weights alone`);
    }
  });
}

test.run();
