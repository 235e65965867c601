// The reference's cases stored as bf16, as CUDA kernels run thread by thread on the CPU: against the interpreter in the same storage.

import { suite } from 'uvu';
import { testNarrowGoldens } from './narrow-goldens.ts';

const test = suite('reference: simt, bf16');
testNarrowGoldens(test, 'simt');
test.run();
