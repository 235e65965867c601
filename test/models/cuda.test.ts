// The relatives of UltraMem in one decoder, on a GPU, where there is one.

import { suite } from 'uvu';
import { hasCudaDevice } from '../cuda-device.ts';
import { testRelatives } from './relatives.ts';

const test = suite('examples: relatives, cuda');
if (await hasCudaDevice('the relatives of UltraMem')) testRelatives(test, 'cuda');
test.run();
