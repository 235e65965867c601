// The same choices give the same tokens on every target, from logits that are the same; what a device is asked for wrongly.

import { createRequire } from 'node:module';
import { embedding, model } from 'ultramem';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openModel } from '../../src/open-model.ts';
import { choiceWords } from '../../src/runtime/choice-words.ts';
import { checkSampling, loadNative, type NativeAddon, Session } from '../../src/runtime/index.ts';
import { tensor } from '../../src/support/tensor.ts';
import { compileRows, rows, rowsModel, sampledSteps, table, vocab } from './rows.ts';

const test = suite('sampling on all targets');
const lengths = [1, 1, 2, 9, 16, 17, 20];
const steps = sampledSteps(lengths);

/** Of numbers among which may be NaN. */
function sameBits(got: Float32Array, wanted: Float32Array): void {
  const bits = ({ buffer, byteOffset, byteLength }: Float32Array) => Buffer.from(buffer, byteOffset, byteLength);
  assert.ok(bits(got).equals(bits(wanted)));
}

for (const target of ['interpreter', 'cpu', 'simt'] as const) {
  test(target, async () => {
    await using session = await openModel(rowsModel, { table }, { target, maxSequences: 1 });
    for (const { inputs, choices, wanted } of steps) {
      assert.equal(await session.sample(inputs, choices), wanted);
      assert.equal(await session.sample(inputs, []), new Int32Array());
      const { logits } = await session.forward(inputs);
      assert.equal(logits!.shape, [inputs.ids.length, vocab]);
      const [first] = inputs.ids;
      sameBits(
        logits!.data.subarray(0, vocab) as Float32Array,
        table.data.subarray(first! * vocab, (first! + 1) * vocab),
      );
    }
  });
}

test('ids that the model does not take are never chosen, though logits are wider', async () => {
  const taken = 24;
  const wide = model('wide-logits', (m) => {
    const { ids } = m.tokens({ vocab: taken, context: 1000, maxTokens: 4 });
    m.output('logits', embedding(m.weight('table', [taken, vocab]), ids));
  });
  const cut = { table: tensor('f32', [taken, vocab], table.data.slice(0, taken * vocab) as Float32Array) };
  const choices = Array.from({ length: 40 }, (_, index) => ({
    row: index % 4,
    index,
    sampling: checkSampling(index < 4 ? {} : { temperature: 3, seed: 5, topP: index % 2 === 0 ? 1 : 0.7 }),
  }));
  const inputs = { ids: [3, 9, 14, 23], positions: [0, 1, 2, 3], sequence: [0, 0, 0, 0] };
  const chosen = new Set<string>();
  for (const target of ['interpreter', 'cpu', 'simt'] as const) {
    await using session = await openModel(wide, cut, { target, maxSequences: 1 });
    const tokens: number[] = [];
    for (let at = 0; at < choices.length; at += 4) {
      tokens.push(...(await session.sample(inputs, choices.slice(at, at + 4))));
    }
    assert.ok(Math.max(...tokens) < taken, `${tokens}`);
    chosen.add(String(tokens));
  }
  assert.is(chosen.size, 1);
});

const addon = createRequire(import.meta.url)(await compileRows()) as NativeAddon;

test('calls that wait on a device: each gets its own tokens, or its own logits', async () => {
  const native = await loadNative(addon, { table }, { threads: 1 });
  await using session = new Session(native.openEngine({ S: 4 }));
  const sampling = checkSampling({ temperature: 1, seed: 4 });
  const ask = (sequence: number, id: number, length: number) => ({
    ids: new Array<number>(length).fill(id),
    positions: Array.from({ length }, (_, i) => i),
    sequence: new Array<number>(length).fill(sequence),
  });
  const alone = await session.sample(ask(0, 3, 2), [{ row: 1, index: 5, sampling }]);
  for (const also of ['tokens', 'logits'] as const) {
    const waiting = [1, 2, 3].map((sequence) =>
      session.sample(ask(sequence, sequence === 2 ? 3 : 8, sequence), [{ row: sequence - 1, index: 5, sampling }]),
    );
    if (also === 'logits') {
      const { logits } = await session.forward(ask(0, 3, 1));
      assert.equal(logits!.data, table.data.slice(3 * vocab, 4 * vocab));
    }
    const [first, second, third] = await Promise.all(waiting);
    assert.equal(second, alone);
    assert.equal(first, third);
  }
  native.dispose();
});

test('what an addon cannot sample is refused', async () => {
  const codeOf = async (run: () => Promise<unknown>): Promise<string> => {
    try {
      await run();
    } catch (error) {
      return (error as { code?: string }).code ?? 'no code';
    }
    return 'nothing was thrown';
  };
  assert.is(addon.describe().samples, true);
  const weights = new addon.Weights();
  await weights.load([table], 1, false);
  const bare = new addon.Session(weights, 1, [20, 1]);
  const ids = () => [Int32Array.of(1, 2), Int32Array.of(0, 1), new Int32Array(2)];
  const words = (row: number, count = 1) =>
    choiceWords(new Array(count).fill({ row, index: 0, sampling: checkSampling() }));
  for (const [asked, room] of [
    [words(2), new Int32Array(1)],
    [words(-1), new Int32Array(1)],
    [words(0), new Int32Array(2)],
    [words(0, 3), new Int32Array(3)],
    [words(0).subarray(1), new Int32Array(1)],
    [[1n], new Int32Array(1)],
    [words(0), undefined],
  ] as [BigInt64Array, Int32Array][]) {
    assert.is(await codeOf(() => bare.step([2, 1], ids(), [null], asked, room)), 'native-failure');
  }
  assert.is(await codeOf(() => bare.step([2, 1], ids(), [undefined as never])), 'native-failure');
  const both = new Float32Array(2 * vocab);
  const chosen = new Int32Array(2).fill(-1);
  await bare.step([2, 1], ids(), [both], words(1, 2), chosen);
  assert.equal(both, table.data.slice(vocab, 3 * vocab), 'logits beside tokens');
  assert.is(chosen[0], chosen[1]);
  const row = table.data.subarray(2 * vocab, 3 * vocab);
  assert.is(row[chosen[0]!], Math.max(...row));
  bare.dispose();

  await using session = await openModel(rowsModel, { table }, { target: 'cpu', maxSequences: 1 });
  const sampling = checkSampling();
  const sample = (...choices: { row: number; index: number }[]) =>
    codeOf(() =>
      session.sample(
        { ids: [rows - 1], positions: [0], sequence: [0] },
        choices.map((choice) => ({ ...choice, sampling })),
      ),
    );
  assert.is(await sample({ row: 1, index: 0 }), 'option-invalid');
  assert.is(await sample({ row: -1, index: 0 }), 'option-invalid');
  assert.is(await sample({ row: 0.5, index: 0 }), 'option-invalid');
  assert.is(await sample({ row: 0, index: -1 }), 'option-invalid');
  assert.is(await sample({ row: 0, index: 0 }, { row: 0, index: 1 }), 'option-invalid');
  assert.is(await sample({ row: 0, index: 2 ** 53 - 1 }), 'nothing was thrown');
});

test.run();
