// Weights as bytes with a scale per row, on the CPU and in the kernels of devices: see quantised.ts.

import { suite } from 'uvu';
import { makeDevicePlan, makePlan } from '../../src/plan/plan.ts';
import { testCases } from './compiled-cases.ts';
import { throughNarrow } from './narrow.ts';
import { quantisedForm } from './quantised.ts';

const test = suite('ops: quantised tables');
for (const dtype of ['i8', 'f8'] as const) {
  testCases(test, 'cpu', makePlan, quantisedForm(dtype));
  testCases(test, 'simt', makeDevicePlan, quantisedForm(dtype));
}
testCases(test, 'simt', makeDevicePlan, quantisedForm('i8', throughNarrow));
test.run();
