// The op table on a GPU, where there is one: in f32, and with everything stored as bf16.

import { suite } from 'uvu';
import { makeDevicePlan } from '../../src/plan/plan.ts';
import { hasCudaDevice } from '../cuda-device.ts';
import { testCases } from './compiled-cases.ts';
import { narrowForm } from './narrow.ts';

const test = suite('ops: cuda');
if (await hasCudaDevice('the op table')) {
  testCases(test, 'cuda', makeDevicePlan);
  testCases(test, 'cuda', makeDevicePlan, narrowForm);
}
test.run();
