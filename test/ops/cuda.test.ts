// The op table on a GPU, where there is one.

import { suite } from 'uvu';
import { makeDevicePlan } from '../../src/plan/plan.ts';
import { hasCudaDevice } from '../cuda-device.ts';
import { testCases } from './compiled-cases.ts';

const test = suite('ops: cuda');
if (await hasCudaDevice('the op table')) testCases(test, 'cuda', makeDevicePlan);
test.run();
