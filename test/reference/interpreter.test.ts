// The presets on the interpreter against the published reference: every intermediate that both name, and every output.

import { trace } from 'ultramem';
import { referenceName } from 'ultramem/models';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Interpreter } from '../../src/ir/interpret.ts';
import { caseNames, differing, expected, inputsOf, modelOf, openCase, relativeL2, weightsOf } from './golden.ts';

const test = suite('reference: interpreter');
const tolerance = 1e-5;

for (const name of caseNames) {
  test(name, async () => {
    const golden = await openCase(name);
    const graph = trace(modelOf(golden));
    const interpreter = new Interpreter(graph, { weights: await weightsOf(golden, graph), symbols: { S: 2 } });
    const { outputs, taps } = interpreter.step(await inputsOf(golden, graph), { taps: true });
    const got = new Map(Object.entries(taps));
    for (const [output, value] of Object.entries(outputs)) got.set(`out.${referenceName(output)}`, value);
    const names = [...golden.files.tensors.keys()].filter((tensor) => /^(mid|out)\./.test(tensor));
    assert.ok(names.length > 5, `${names.length} tensors to compare`);
    for (const tensor of names) {
      const value = got.get(tensor);
      assert.ok(value !== undefined, `nothing is called ${tensor}`);
      const wanted = await expected(golden, tensor);
      if (wanted.dtype === 'i32') {
        assert.is(differing(value, wanted), 0, `${tensor}: indices differ`);
      } else {
        const error = relativeL2(value, wanted);
        assert.ok(error <= tolerance, `${tensor}: relative l2 error ${error}`);
      }
    }
  });
}

test.run();
