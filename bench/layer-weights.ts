// The layer that is measured, and random weights for it by the reference's names and initialisation (UltraMem §1).

import { type Tensor, tensor } from 'ultramem/runtime';

export const sizes = {
  width: 1024,
  knum: 512,
  kdim: 192,
  vdim: 192,
  knn: 32,
  heads: 2,
  rank: 2,
  cores: 2,
  expansion: 4,
} as const;

export type Sizes = { readonly [K in keyof typeof sizes]: number };

/** Keys scored per side: n' = √E·n. */
export const keysPerSide = ({ knum, expansion }: Sizes): number => Math.round(Math.sqrt(expansion)) * knum;

/** Numbers that the same seed gives again. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** Of [0, 1). */
  uniform(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let x = this.#state;
    x = Math.imul(x ^ (x >>> 15), x | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) / 4294967296;
  }

  normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.uniform())) * Math.cos(2 * Math.PI * this.uniform());
  }

  normals(shape: readonly number[], deviation = 1): Tensor<'f32'> {
    const data = new Float32Array(shape.reduce((a, b) => a * b, 1));
    for (let i = 0; i < data.length; i++) data[i] = deviation * this.normal();
    return tensor('f32', shape, data);
  }

  /** A permutation of [0, n). */
  permutation(n: number): Tensor<'i32'> {
    const data = Int32Array.from({ length: n }, (_, i) => i);
    for (let i = n - 1; i > 0; i--) {
      const j = Math.floor(this.uniform() * (i + 1));
      [data[i], data[j]] = [data[j]!, data[i]!];
    }
    return tensor('i32', [n], data);
  }
}

/** Weights of one layer; u and v are some unit vectors. */
export function layerWeights(s: Sizes, seed: number) {
  const random = new Random(seed);
  const { width: D, kdim: Dk, vdim: Dv, heads: H, rank: r, expansion: E } = s;
  const N = s.knum ** 2;
  const filled = (n: number, value: number) => tensor('f32', [n], new Float32Array(n).fill(value));
  const unit = () => {
    const data = Float32Array.from({ length: H * r }, () => 0.5 + random.uniform());
    for (let h = 0; h < H; h++) {
      const length = Math.hypot(...data.subarray(h * r, (h + 1) * r));
      for (let i = 0; i < r; i++) data[h * r + i]! /= length;
    }
    return tensor('f32', [1, H, 1, r], data);
  };
  const core = () =>
    tensor(
      'f32',
      [H, r, r],
      Float32Array.from({ length: H * r * r }, () => random.uniform()),
    );
  return {
    'query_proj.weight': random.normals([2 * Dk, D], Dk ** -0.5),
    'query_norm.weight': filled(Dk, Dk ** -0.33),
    keys: random.normals([H, 2, keysPerSide(s), Dk, r], Dk ** -0.5),
    'keys_norm.weight': filled(Dk, Dk ** -0.33),
    ...Object.fromEntries(Array.from({ length: s.cores }, (_, c) => [`tucker_core.${c}`, core()])),
    tucker_core_u: unit(),
    tucker_core_v: unit(),
    shuffle_index: random.permutation(E * N),
    values_for_look_up: random.normals([N, Dv], 0.02),
    'values_proj.weight': random.normals([D, E * Dv], (E * Dv) ** -0.5),
  } satisfies Record<string, Tensor>;
}

export type LayerWeights = Record<string, Tensor>;
