// Random weights for a large model, within seconds: a run of random numbers, repeated.

import { type Tensor, tensor } from 'ultramem/runtime';
import { Random } from './layer-weights.ts';

/** A weight as a plan or a description says it. */
interface WeightShape {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
}

/** A prime, so that no two rows of a table hold the same numbers in the same places. */
const RUN = 1_000_003;

/**
 * f32: uniform, such that products keep the size of what they multiply; those of one axis (norms, biases) are 1. Integers: a permutation.
 * @throws Error for a weight of another type
 */
export function randomWeights(weights: readonly WeightShape[], seed: number): Record<string, Tensor> {
  const random = new Random(seed);
  const run = Float32Array.from({ length: RUN }, () => 2 * random.uniform() - 1);
  return Object.fromEntries(
    weights.map(({ name, dtype, shape }) => {
      const count = shape.reduce((n, dim) => n * dim, 1);
      if (dtype === 'i32') return [name, tensor('i32', shape, permutation(count))];
      if (dtype !== 'f32') throw new Error(`no random weights of ${dtype} for ${name}`);
      const data = new Float32Array(count);
      if (shape.length < 2) return [name, tensor('f32', shape, data.fill(1))];
      const scale = Math.sqrt(3 / shape.at(-1)!);
      const scaled = run.map((value) => scale * value);
      const start = Math.floor(RUN * random.uniform());
      for (let at = -start; at < count; at += RUN) {
        const from = at < 0 ? -at : 0;
        data.set(scaled.subarray(from, Math.min(RUN, count - at)), at + from);
      }
      return [name, tensor('f32', shape, data)];
    }),
  );
}

/** Of [0, n), by steps of a prime that does not divide n. */
function permutation(n: number): Int32Array<ArrayBuffer> {
  const data = new Int32Array(n);
  const step = n % RUN === 0 ? 1 : RUN % n;
  for (let i = 1; i < n; i++) data[i] = (data[i - 1]! + step) % n;
  return data;
}
