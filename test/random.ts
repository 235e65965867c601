// Random data from a seed and a name: the same on every machine, independent of the order of tests.

import { elements, type Tensor, tensor } from '../src/support/tensor.ts';

export class Random {
  #state: number;

  constructor(seed: number, name = '') {
    this.#state = seed >>> 0;
    for (const letter of name) this.#state = Math.imul(this.#state ^ letter.charCodeAt(0), 0x9e3779b1) >>> 0;
  }

  /** Uniform in [0, 1); mulberry32. */
  uniform(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let z = this.#state;
    z = Math.imul(z ^ (z >>> 15), z | 1);
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
    return ((z ^ (z >>> 14)) >>> 0) / 2 ** 32;
  }

  /** Uniform integer in 0..below−1. */
  below(below: number): number {
    return Math.floor(this.uniform() * below);
  }

  normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.uniform())) * Math.cos(2 * Math.PI * this.uniform());
  }

  f32(shape: readonly number[], of: () => number = () => this.normal()): Tensor<'f32'> {
    return tensor('f32', shape, Float32Array.from({ length: elements(shape) }, of));
  }

  /**
   * Normals rounded to multiples of `step`. Sums of products of such numbers are exact in f32, in any order: selections by them
   * are the same on all targets, and have many ties.
   */
  coarse(shape: readonly number[], step = 0.5): Tensor<'f32'> {
    return this.f32(shape, () => Math.round(this.normal() / step) * step);
  }

  i32(shape: readonly number[], below: number): Tensor<'i32'> {
    return tensor(
      'i32',
      shape,
      Int32Array.from({ length: elements(shape) }, () => this.below(below)),
    );
  }

  i64(shape: readonly number[], below: number): Tensor<'i64'> {
    return tensor(
      'i64',
      shape,
      BigInt64Array.from({ length: elements(shape) }, () => BigInt(this.below(below))),
    );
  }

  permutation(n: number): Tensor<'i32'> {
    const order = Int32Array.from({ length: n }, (_, i) => i);
    for (let i = n - 1; i > 0; i--) {
      const j = this.below(i + 1);
      [order[i], order[j]] = [order[j]!, order[i]!];
    }
    return tensor('i32', [n], order);
  }
}
