// The reference's cases on a GPU, where there is one.

import { suite } from 'uvu';
import { hasCudaDevice } from '../cuda-device.ts';
import { testGoldens } from './compiled-goldens.ts';

const test = suite('reference: cuda');
if (await hasCudaDevice("the reference's cases")) testGoldens(test, 'cuda');
test.run();
