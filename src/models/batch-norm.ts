// A linear layer behind which a BatchNorm stands: at inference both are one linear layer, folded when weights load.

import { add, type F32, linear, type ModelContext, mul, reshape, rsqrt, sub } from '../dsl/index.ts';

/** Names and sizes of a linear layer with its BatchNorm. */
export interface BatchNormed {
  /** `weight` [N,K] and `bias` [N] of the linear layer stand behind it, as `query_proj`. */
  readonly linear: string;
  /** `weight`, `bias`, `running_mean` and `running_var`, [N] each, stand behind it; none: no norm. */
  readonly norm: string | undefined;
  /** Width of the result [N]. */
  readonly width: number;
  /** Added to the variance; default 1e-5. */
  readonly eps?: number;
}

/** x f32[T,K] → f32[T,N]: BatchNorm(Linear(x)) with the statistics of training, as PKM's queries are normed (UltraMem §3). */
export function batchNormed(m: ModelContext, x: F32, { linear: name, norm, width, eps = 1e-5 }: BatchNormed): F32 {
  const K = x.shape.at(-1) as number;
  const weight = m.weight(`${name}.weight`, [width, K]);
  const bias = m.weight(`${name}.bias`, [width]);
  if (norm === undefined) return add(linear(x, weight), bias);
  const of = (what: string): F32 => m.weight(`${norm}.${what}`, [width]);
  const scale = mul(of('weight'), rsqrt(add(of('running_var'), eps)));
  const shift = add(mul(sub(bias, of('running_mean')), scale), of('bias'));
  return add(linear(x, mul(weight, reshape(scale, [width, 1]))), shift);
}
