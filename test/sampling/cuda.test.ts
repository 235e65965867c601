// Sampling on a GPU, where there is one: the tokens of the sampler in JavaScript.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openModel } from '../../src/open-model.ts';
import { hasCudaDevice } from '../cuda-device.ts';
import { rowsModel, sampledSteps, table } from './rows.ts';

const test = suite('sampling: cuda');
if (await hasCudaDevice('sampling')) {
  test('the same choices give the same tokens', async () => {
    await using session = await openModel(rowsModel, { table }, { target: 'cuda', maxSequences: 1 });
    for (const { inputs, choices, wanted } of sampledSteps([1, 1, 2, 9, 16, 17, 20, 20, 20])) {
      assert.equal(await session.sample(inputs, choices), wanted);
    }
  });
}
test.run();
