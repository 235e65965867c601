// The op table as CUDA kernels, run thread by thread on the CPU with every access checked.

import { suite } from 'uvu';
import { makeDevicePlan } from '../../src/plan/plan.ts';
import { testCases } from './compiled-cases.ts';

const test = suite('ops: simt');
testCases(test, 'simt', makeDevicePlan);
test.run();
