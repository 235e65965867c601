// A program: loads a model that was built for cuda and prints the error in JSON, or `loaded`. What driver it meets is its
// environment's to say, which a process only learns when it starts.
//
//   load-cuda.ts <folder of the emitted model>

import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { tensor, UltramemError } from '../../src/runtime/index.ts';
import type { EmittedClass } from '../compiled-model.ts';

const { Tiny } = (await import(pathToFileURL(join(process.argv[2]!, 'model.ts')).href)) as { Tiny: EmittedClass };
try {
  (await Tiny.load({ w: tensor('f32', [8], new Float32Array(8)) })).dispose();
  console.log(JSON.stringify({ code: 'loaded' }));
} catch (error) {
  if (!(error instanceof UltramemError)) throw error;
  console.log(JSON.stringify(error));
}
