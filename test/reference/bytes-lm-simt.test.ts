// The trained checkpoint on simt.

import { suite } from 'uvu';
import { testCheckpoint } from './bytes-lm-kernels.ts';

const test = suite('reference: bytes-lm on simt');
testCheckpoint(test, 'simt');
test.run();
