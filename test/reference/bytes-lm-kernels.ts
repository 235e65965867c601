// The trained checkpoint as CUDA kernels, on a device or run thread by thread on the CPU with every access checked: the reference's
// text, in f32 and in bf16, and what the cpu target samples with the same seed.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Test } from 'uvu';
import * as assert from 'uvu/assert';
import { loadModel, type Precision } from '../../src/compile.ts';
import { openModel } from '../../src/open-model.ts';
import '../build-folder.ts';
import { checkpoint } from '../compiled-model.ts';

const example = new URL('../../examples/bytes-lm/', import.meta.url);
const { prompts } = JSON.parse(readFileSync(new URL('prompts.json', example), 'utf8')) as {
  prompts: readonly { prompt: string; greedy: string }[];
};

/** Adds the tests. */
export function testCheckpoint(test: Test, target: 'simt' | 'cuda'): void {
  test('greedy continuations, byte for byte, by cached decode', async () => {
    const model = await loadModel(fileURLToPath(new URL('model.ts', example)));
    await using session = await openModel(model, checkpoint, { target, maxSequences: 2 });
    for (const { prompt, greedy } of prompts) {
      const { text } = await session.complete(prompt, { maxTokens: 64, temperature: 0 });
      assert.is(text, greedy);
    }
  });

  test('a seed gives the tokens of the cpu target, however they are chosen', async () => {
    const model = await loadModel(fileURLToPath(new URL('model.ts', example)));
    await using cpu = await openModel(model, checkpoint, { target: 'cpu', maxSequences: 1 });
    await using session = await openModel(model, checkpoint, { target, maxSequences: 1 });
    const seen = new Set<string>();
    for (const options of [
      { temperature: 1, seed: 1 },
      { temperature: 1.5, topK: 9, seed: 2 },
      { temperature: 1.3, topP: 0.8, seed: 3 },
      { temperature: 1.2, topK: 40, topP: 0.9, seed: 2 ** 53 - 1 },
    ]) {
      const wanted = await cpu.complete('The ', { maxTokens: 6, ...options });
      const got = await session.complete('The ', { maxTokens: 6, ...options });
      assert.equal(got, wanted, JSON.stringify(options));
      seen.add(got.text);
    }
    assert.is(seen.size, 4, 'each seed says something else');
  });

  test('stored as bf16: every byte that clearly leads still does, and logits are what rounding leaves of its own', async () => {
    const model = await loadModel(fileURLToPath(new URL('model.ts', example)));
    const texts = prompts.map(({ prompt, greedy }) => Int32Array.from([256, ...Buffer.from(prompt + greedy)]));
    const logitsOf = async (on: 'interpreter' | 'simt' | 'cuda', precision: Precision): Promise<Float32Array[]> => {
      await using session = await openModel(model, checkpoint, { target: on, precision, maxSequences: texts.length });
      const rows: Float32Array[] = [];
      for (const ids of texts) {
        const own = session.sequences!.allocate();
        const { logits } = await session.forward({
          ids,
          positions: ids.map((_, i) => i),
          sequence: ids.map(() => own),
        });
        rows.push(logits!.data as Float32Array);
      }
      return rows;
    };
    const [reference, oracle] = [await logitsOf('interpreter', 'f32'), await logitsOf('interpreter', 'bf16')];
    const computed = await logitsOf(target, 'bf16');
    for (const [p, ids] of texts.entries()) {
      const row = (of: readonly Float32Array[], i: number) => of[p]!.subarray(i * vocab, (i + 1) * vocab);
      const shown = `prompt ${p}`;
      // Choices that rounding lets fall otherwise change whole rows of a memory: not every position is as near as most.
      const near = [...ids.keys()].filter((i) => relative(row(computed, i), row(oracle, i)) <= 1e-2).length;
      assert.ok(
        near >= 0.7 * ids.length,
        `${shown}: ${near} of ${ids.length} positions within 1e-2 of the interpreter`,
      );
      const error = relative(computed[p]!, reference[p]!);
      assert.ok(error <= 2e-2, `${shown}: logits are ${error} from those of f32`);
      const generated = [...ids.keys()].slice(Buffer.byteLength(prompts[p]!.prompt), -1);
      const clear = generated.filter((i) => lead(row(reference, i), ids[i + 1]!) > 0.1);
      assert.ok(clear.length >= 0.85 * generated.length, `${shown}: ${clear.length} of ${generated.length} bytes lead`);
      for (const i of clear) assert.ok(lead(row(computed, i), ids[i + 1]!) > 0, `${shown}, byte ${i}`);
    }
  });

  test('stored as bf16: the reference’s text by cached decode', async () => {
    const model = await loadModel(fileURLToPath(new URL('model.ts', example)));
    await using session = await openModel(model, checkpoint, { target, precision: 'bf16', maxSequences: 3 });
    const { prompt, greedy } = prompts[0]!;
    const { text } = await session.complete(prompt, { maxTokens: 12, temperature: 0 });
    assert.is(text, greedy.slice(0, 12));
  });
}

const vocab = 257;

/** How far the logit of `id` lies above every other. */
function lead(logits: Float32Array, id: number): number {
  return logits[id]! - Math.max(...logits.filter((_, other) => other !== id));
}

function relative(a: Float32Array, b: Float32Array): number {
  let [squares, total] = [0, 0];
  for (const [i, wanted] of b.entries()) {
    squares += (a[i]! - wanted) ** 2;
    total += wanted ** 2;
  }
  return Math.sqrt(squares / total);
}
