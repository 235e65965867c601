// The reference's cases as CUDA kernels, run thread by thread on the CPU with every access checked.

import { suite } from 'uvu';
import { testGoldens } from './compiled-goldens.ts';

const test = suite('reference: simt');
testGoldens(test, 'simt');
test.run();
