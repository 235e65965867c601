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
 * Floats, f32 or bf16: uniform, such that products keep the size of what they multiply, times what `gain` says of a name; those of one axis
 * (norms, biases) are 1. Integers: a permutation. Floats of one type and size of numbers lie in one array, each from a place of its own on, so that
 * a model of many layers takes little more memory here than its largest weight.
 * @throws Error for a weight of another type
 */
export function randomWeights(
  weights: readonly WeightShape[],
  seed: number,
  gain: (name: string) => number = () => 1,
): Record<string, Tensor> {
  const random = new Random(seed);
  const run = Float32Array.from({ length: RUN }, () => 2 * random.uniform() - 1);
  const floats = weights.flatMap(({ name, dtype, shape }) => {
    if (dtype === 'i32') return [];
    if (dtype !== 'f32' && dtype !== 'bf16') throw new Error(`no random weights of ${dtype} for ${name}`);
    const scale = shape.length < 2 ? undefined : gain(name) * Math.sqrt(3 / shape.at(-1)!);
    const start = Math.floor(RUN * random.uniform());
    return [
      {
        name,
        dtype: dtype as 'f32' | 'bf16',
        shape,
        start,
        end: start + countOf(shape),
        scale,
        key: `${dtype} ${scale}`,
      },
    ];
  });
  const ends = new Map<string, number>();
  for (const { key, end } of floats) ends.set(key, Math.max(end, ends.get(key) ?? 0));
  const arrays = new Map<string, Float32Array | Uint16Array>();
  for (const { key, dtype, scale } of floats) {
    if (arrays.has(key)) continue;
    const scaled = scale === undefined ? new Float32Array(RUN).fill(1) : run.map((value) => scale * value);
    arrays.set(key, repeated(dtype === 'f32' ? scaled : rounded(scaled), ends.get(key)!));
  }
  return Object.fromEntries([
    ...weights
      .filter(({ dtype }) => dtype === 'i32')
      .map(({ name, shape }) => [name, tensor('i32', shape, permutation(countOf(shape)))]),
    ...floats.map(({ name, dtype, shape, key, start, end }) => [
      name,
      tensor<'f32' | 'bf16'>(dtype, shape, arrays.get(key)!.subarray(start, end)),
    ]),
  ]);
}

const countOf = (shape: readonly number[]): number => shape.reduce((n, dim) => n * dim, 1);

/** `count` numbers of a run over and over. */
function repeated<Data extends Float32Array | Uint16Array>(run: Data, count: number): Data {
  const data = new (run.constructor as new (count: number) => Data)(count);
  for (let at = 0; at < count; at += run.length) data.set(run.subarray(0, Math.min(run.length, count - at)), at);
  return data;
}

/** As bf16, of finite numbers. */
const rounded = (floats: Float32Array): Uint16Array =>
  new Uint16Array(new Uint32Array(floats.buffer).map((bits) => (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16));

/** Of [0, n), by steps of a prime that does not divide n. */
function permutation(n: number): Int32Array<ArrayBuffer> {
  const data = new Int32Array(n);
  const step = n % RUN === 0 ? 1 : RUN % n;
  for (let i = 1; i < n; i++) data[i] = (data[i - 1]! + step) % n;
  return data;
}
