// The op table on the cpu target.

import { suite } from 'uvu';
import { makePlan } from '../../src/plan/plan.ts';
import { testCases } from './compiled-cases.ts';

const test = suite('ops: cpu');
testCases(test, 'cpu', makePlan);
test.run();
