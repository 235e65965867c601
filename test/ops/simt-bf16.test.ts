// The op table with everything stored as bf16, as CUDA kernels run thread by thread on the CPU with every access checked.

import { suite } from 'uvu';
import { makeDevicePlan } from '../../src/plan/plan.ts';
import { testCases } from './compiled-cases.ts';
import { narrowForm } from './narrow.ts';

const test = suite('ops: simt, bf16');
testCases(test, 'simt', makeDevicePlan, narrowForm);
test.run();
