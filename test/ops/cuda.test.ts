// The op table on a GPU, where there is one: in f32, with everything stored as bf16, and with quantised tables.

import { suite } from 'uvu';
import { makeDevicePlan } from '../../src/plan/plan.ts';
import { hasCudaDevice } from '../cuda-device.ts';
import { testCases } from './compiled-cases.ts';
import { narrowForm, throughNarrow } from './narrow.ts';
import { quantisedForm } from './quantised.ts';

const test = suite('ops: cuda');
if (await hasCudaDevice('the op table')) {
  testCases(test, 'cuda', makeDevicePlan);
  testCases(test, 'cuda', makeDevicePlan, narrowForm);
  testCases(test, 'cuda', makeDevicePlan, quantisedForm('i8'));
  testCases(test, 'cuda', makeDevicePlan, quantisedForm('f8', throughNarrow));
}
test.run();
