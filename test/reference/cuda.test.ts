// The reference's cases and the trained checkpoint on a GPU, where there is one.

import { suite } from 'uvu';
import { hasCudaDevice } from '../cuda-device.ts';
import { testCheckpoint } from './bytes-lm-kernels.ts';
import { testGoldens } from './compiled-goldens.ts';
import { testNarrowGoldens } from './narrow-goldens.ts';

const test = suite('reference: cuda');
if (await hasCudaDevice("the reference's cases and text")) {
  testGoldens(test, 'cuda');
  testNarrowGoldens(test, 'cuda');
  testCheckpoint(test, 'cuda');
}
test.run();
