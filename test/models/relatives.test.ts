// The relatives of UltraMem in one decoder, on the CPU and by simulated kernels.

import { suite } from 'uvu';
import { testRelatives } from './relatives.ts';

const test = suite('examples: relatives');
testRelatives(test, 'cpu');
testRelatives(test, 'simt');
test.run();
