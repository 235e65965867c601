// examples/relatives.ts on a target against the interpreter: a prompt of two sequences, then a token of each.

import { trace } from 'ultramem';
import type { Test } from 'uvu';
import * as assert from 'uvu/assert';
import relatives from '../../examples/relatives.ts';
import { type OpenOptions, openModel } from '../../src/open-model.ts';
import { type Tensor, tensor } from '../../src/support/tensor.ts';
import '../build-folder.ts';
import { distance } from '../passes/meaning.ts';
import { Random } from '../random.ts';
import { seed } from '../settings.ts';

const tokens = (values: readonly (readonly [id: number, position: number, sequence: number])[]) => {
  const of = (which: 0 | 1 | 2) =>
    tensor(
      'i32',
      [values.length],
      Int32Array.from(values, (value) => value[which]),
    );
  return { ids: of(0), positions: of(1), sequence: of(2) };
};
const steps = [
  tokens([
    [7, 0, 0],
    [200, 1, 0],
    [31, 2, 0],
    [9, 0, 1],
    [7, 1, 1],
  ]),
  tokens([
    [80, 3, 0],
    [255, 2, 1],
  ]),
];

/** Adds a test for the target. */
export function testRelatives(test: Test, target: OpenOptions['target']): void {
  test(`experts, product keys and PEER in one decoder, ${target}`, async () => {
    const random = new Random(seed, 'relatives');
    const weights = Object.fromEntries(
      trace(relatives).weights.map(({ name, type }): [string, Tensor] => {
        const shape = type.shape as number[];
        const scale = shape.length > 1 ? Math.sqrt(1 / shape.at(-1)!) : 1;
        return [
          name,
          random.f32(shape, () => (name.endsWith('running_var') ? 0.5 + random.uniform() : scale * random.normal())),
        ];
      }),
    );
    const run = async (on: OpenOptions['target']): Promise<Tensor[]> => {
      await using session = await openModel(relatives, weights, { target: on, maxSequences: 2, threads: 2 });
      const logits: Tensor[] = [];
      for (const step of steps) logits.push((await session.forward(step)).logits!);
      return logits;
    };
    const wanted = await run('interpreter');
    for (const [i, logits] of (await run(target)).entries()) {
      const error = distance(logits, wanted[i]!);
      assert.ok(error <= 1e-5, `step ${i}: relative l2 error ${error}`);
    }
  });
}
