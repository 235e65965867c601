// The reference's cases on the cpu target.

import { suite } from 'uvu';
import { testGoldens } from './compiled-goldens.ts';

const test = suite('reference: cpu');
testGoldens(test, 'cpu');
test.run();
