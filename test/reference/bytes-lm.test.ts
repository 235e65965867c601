// The trained checkpoint on the interpreter: logits, retrieved slots and greedy text of the reference.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { trace } from 'ultramem';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import bytesLm from '../../examples/bytes-lm/model.ts';
import { Interpreter } from '../../src/ir/interpret.ts';
import { openSafetensors, readTensor } from '../../src/runtime/safetensors.ts';
import { type Tensor, tensor } from '../../src/support/tensor.ts';
import { differing, relativeL2 } from './golden.ts';

const example = fileURLToPath(new URL('../../examples/bytes-lm/', import.meta.url));
const { prompts } = JSON.parse(readFileSync(`${example}prompts.json`, 'utf8')) as {
  prompts: readonly { prompt: string; greedy: string }[];
};
const bos = 256;

const test = suite('reference: bytes-lm');

const load = async (): Promise<Interpreter> => {
  const graph = trace(bytesLm);
  const files = await openSafetensors(`${example}ultramem-bytes.safetensors`);
  const weights = new Map<string, Tensor>();
  for (const { name, type } of graph.weights) weights.set(name, await readTensor(files, name, type.dtype));
  return new Interpreter(graph, { weights, symbols: { S: prompts.length } });
};

/** One step over several whole sequences. */
function wholeSequences(sequences: readonly (readonly number[])[]): Record<string, Tensor> {
  const flat = (values: readonly number[]): Tensor => tensor('i32', [values.length], Int32Array.from(values));
  return {
    ids: flat(sequences.flat()),
    positions: flat(sequences.flatMap((ids) => ids.map((_, position) => position))),
    sequence: flat(sequences.flatMap((ids, s) => ids.map(() => s))),
  };
}

test('logits and slots of the prompts', async () => {
  const interpreter = await load();
  const reference = await openSafetensors(fileURLToPath(new URL('bytes-lm/reference.safetensors', import.meta.url)));
  for (const p of prompts.keys()) {
    interpreter.reset();
    const ids = await readTensor(reference, `prompt${p}.ids`, 'i32');
    const { outputs, taps } = interpreter.step(wholeSequences([[...ids.data]]), { taps: true });
    const error = relativeL2(outputs.logits!, await readTensor(reference, `prompt${p}.logits`, 'f32'));
    assert.ok(error <= 1e-5, `prompt ${p}: relative l2 error of logits ${error}`);
    for (const n of [0, 1]) {
      const slots = await readTensor(reference, `prompt${p}.mem${n}.shuffled_index`, 'i32');
      assert.is(differing(taps[`mid.mem${n}.shuffled_index`]!, slots), 0, `prompt ${p}: slots of memory ${n}`);
    }
  }
});

test('greedy text: every next byte is the reference’s', async () => {
  const interpreter = await load();
  const texts = prompts.map(({ prompt, greedy }) => [bos, ...Buffer.from(prompt + greedy)]);
  const { logits } = interpreter.step(wholeSequences(texts)).outputs;
  let row = 0;
  for (const [p, ids] of texts.entries()) {
    const promptLength = 1 + Buffer.byteLength(prompts[p]!.prompt);
    for (const [i, next] of ids.slice(1).entries()) {
      const start = (row + i) * 257;
      const scores = logits!.data.subarray(start, start + 257) as Float32Array;
      if (i + 1 >= promptLength) assert.is(scores.indexOf(Math.max(...scores)), next, `prompt ${p}, byte ${i + 1}`);
    }
    row += ids.length;
  }
});

test.run();
