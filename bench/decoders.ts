// Decoders with memory layers that several parts measure: examples/bytes-lm with its checkpoint, and a 151M-shaped one with random weights.

import { readFile } from 'node:fs/promises';
import { loadModel, trace } from 'ultramem/compile';
import type { WeightsLike } from 'ultramem/runtime';
import { Random } from './layer-weights.ts';
import { fromRoot } from './paths.ts';
import { randomWeights } from './random-weights.ts';

export type Model = Awaited<ReturnType<typeof loadModel>>;
export type Precision = 'f32' | 'bf16';

/** A model with its weights. */
export interface Subject {
  readonly model: Model;
  readonly weights: WeightsLike;
  /** Tokens of the prompt, and so positions that a sequence holds when decoding begins. */
  readonly prompt: number;
  readonly precisions: readonly Precision[];
}

export async function bytesLm(): Promise<Subject> {
  const model = await loadModel(fromRoot('examples/bytes-lm/model.ts'));
  const weights = fromRoot('examples/bytes-lm/ultramem-bytes.safetensors');
  return { model, weights, prompt: 192, precisions: ['f32', 'bf16'] };
}

export async function decoder151m(progress: (text: string) => void): Promise<Subject> {
  const config: unknown = JSON.parse(await readFile(fromRoot('bench/decoder-151m.json'), 'utf8'));
  const model = await loadModel(fromRoot('examples/language-model.ts'), config);
  progress(`${model.name}: random weights`);
  const weights = trace(model).weights.map(({ name, type }) => ({
    name,
    dtype: type.dtype,
    shape: type.shape.map(Number),
  }));
  return { model, weights: randomWeights(weights, 1), prompt: 256, precisions: ['f32', 'bf16'] };
}

/** Random ids, so that each token chooses rows of its own. */
export function idsBelow(vocabulary: number): (count: number) => Int32Array {
  const random = new Random(1);
  return (count) => Int32Array.from({ length: count }, () => Math.floor(vocabulary * random.uniform()));
}
