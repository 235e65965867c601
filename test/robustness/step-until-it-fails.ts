// Worker thread: steps on a model, says so after each step, and says the code of the error that ends it.

import { pathToFileURL } from 'node:url';
import { parentPort, workerData } from 'node:worker_threads';
import { tensor } from '../../src/runtime/index.ts';
import type { EmittedClass } from '../compiled-model.ts';
import { Random } from '../random.ts';

const { dir, weights } = workerData as { dir: string; weights: string };
const { FileTables } = (await import(pathToFileURL(`${dir}/model.ts`).href)) as { FileTables: EmittedClass };
const loaded = await FileTables.load(weights, { threads: 2 });
const step = { x: new Random(1).f32([2, 64]), rows: tensor('i32', [2, 3], Int32Array.of(1, 2, 3, 4, 5, 4095)) };
try {
  for (;;) {
    await loaded.forward(step);
    parentPort!.postMessage('stepped');
  }
} catch (error) {
  parentPort!.postMessage((error as { code?: string }).code);
} finally {
  loaded.dispose();
}
