// The reference's cases stored as bf16, with weights that the CPU reads as bf16: against the interpreter in the same storage.

import { suite } from 'uvu';
import { testNarrowGoldens } from './narrow-goldens.ts';

const test = suite('reference: cpu, bf16');
testNarrowGoldens(test, 'cpu');
test.run();
