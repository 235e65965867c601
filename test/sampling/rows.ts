// A language model whose logits are rows of a table, the row of a token's id: every target has the same, bit for bit.

import { embedding, model } from 'ultramem';
import { compile } from '../../src/compile.ts';
import { type Choice, checkSampling, chooseTokens } from '../../src/runtime/sampling.ts';
import { tensor } from '../../src/support/tensor.ts';
import { freshFolder } from '../build-folder.ts';
import { Random } from '../random.ts';
import { seed } from '../settings.ts';

/** Ids, logits of a row, and most tokens of a step. */
export const [rows, vocab, most] = [300, 300, 20];

export const rowsModel = model('sampled-rows', (m) => {
  const { ids } = m.tokens({ vocab: rows, context: 1000, maxTokens: most });
  m.output('logits', embedding(m.weight('table', [rows, vocab]), ids));
});

const random = new Random(seed, 'sampled rows');
/** Smooth rows, then rows with many equal logits, then rows with what is no number. */
export const table = random.f32([rows, vocab]);
for (let i = (rows / 3) * vocab; i < table.data.length; i++) {
  table.data[i] = Math.round(2 * table.data[i]!) / 2;
  const odd = i >= (rows / 3) * 2 * vocab ? random.below(40) : 9;
  if (odd < 2) table.data[i] = [Number.NaN, Number.NEGATIVE_INFINITY][odd]!;
}

/** Compiles the model for a device; path of the addon. */
export const compileRows = async (): Promise<string> =>
  (await compile(rowsModel, { target: 'simt', outDir: freshFolder('sampled-rows') })).addon;

export interface SampledStep {
  readonly inputs: { readonly ids: Int32Array; readonly positions: Int32Array; readonly sequence: Int32Array };
  readonly choices: readonly Choice[];
  readonly wanted: Int32Array;
}

/** Steps of the lengths given, of sequence 0 from its beginning; each with choices of some of its rows. */
export function sampledSteps(lengths: readonly number[]): SampledStep[] {
  const some = <T>(...of: T[]): T => of[random.below(of.length)]!;
  return lengths.map((length) => {
    const ids = random.i32([length], rows).data;
    const choices = Array.from({ length: 1 + random.below(length) }, () => ({
      row: random.below(length),
      index: some(0, 1, 77, 2 ** 40),
      sampling: checkSampling({
        temperature: some(0, 0.5, 1, 3),
        topP: some(1, 0.9, 0.4),
        seed: random.below(2 ** 31),
        ...some({}, { topK: some(1, 5, 40, 299, 1000) }),
      }),
    }));
    const logits = new Float32Array(length * vocab);
    for (const [t, id] of ids.entries()) logits.set(table.data.subarray(id * vocab, (id + 1) * vocab), t * vocab);
    return {
      inputs: { ids, positions: ids.map((_, t) => t), sequence: new Int32Array(length) },
      choices,
      wanted: chooseTokens(tensor('f32', [length, vocab], logits), choices),
    };
  });
}
