// A process with little memory (test/robustness/memory.test.ts): loads a model over a table that is larger, and prints what came of it
// as JSON: the code of the error, or how many steps gave what they must.
//
//   larger-than-memory.ts <folder of the model> <its class> <weights> <copy: 0 or 1>

import { pathToFileURL } from 'node:url';
import { tensor } from '../../src/runtime/index.ts';
import type { UltramemError } from '../../src/support/errors.ts';
import type { EmittedClass } from '../compiled-model.ts';
import { Random } from '../random.ts';
import { elementOf, markedRow, marks, WIDTH } from './marked-table.ts';

const [dir, className, weights, copy] = process.argv.slice(2) as [string, string, string, string];
const emitted = (await import(pathToFileURL(`${dir}/model.ts`).href)) as Record<string, EmittedClass>;
try {
  using loaded = await emitted[className]!.load(weights, { copy: copy === '1', threads: 2 });
  const [T, R] = [16, 8];
  const random = new Random(5);
  let steps = 0;
  for (; steps < marks / 16; steps++) {
    const slots = random.i32([T, R], marks).data.map(markedRow);
    const scores = Float32Array.from(random.i32([T, R], 9).data, (n) => n - 4);
    const { pooled, row } = await loaded.forward({
      slots: tensor('i32', [T, R], slots as Int32Array<ArrayBuffer>),
      scores: tensor('f32', [T, R], scores),
      rows: tensor(
        'i32',
        [T],
        Int32Array.from({ length: T }, (_, t) => slots[t * R]!),
      ),
    });
    for (let t = 0; t < T; t++) {
      for (let d = 0; d < WIDTH; d++) {
        let sum = 0; // of small integers, so exact
        for (let r = 0; r < R; r++) sum += scores[t * R + r]! * elementOf(slots[t * R + r]!, d);
        if (pooled!.data[t * WIDTH + d] !== sum) throw new Error(`step ${steps}: pooled ${t},${d}`);
        if (row!.data[t * WIDTH + d] !== elementOf(slots[t * R]!, d)) throw new Error(`step ${steps}: row ${t},${d}`);
      }
    }
  }
  console.log(JSON.stringify({ steps, memory: loaded.memory() }));
} catch (error) {
  const { code, message } = error as UltramemError;
  console.log(JSON.stringify({ code, message }));
}
