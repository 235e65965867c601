// A mixture of experts once more, token by token and expert by expert in plain loops of f64: what the preset is held to.

import type { MoeOptions } from 'ultramem/models';
import type { Tensor } from '../../src/support/tensor.ts';

/** Output rows for input rows x. */
export function naiveMoe(
  options: MoeOptions,
  weights: ReadonlyMap<string, Tensor>,
  rows: readonly number[][],
): number[][] {
  const { width, experts, kept, inner, activation = 'swiglu', softmax = 'after', renormalise = false } = options;
  /** Row `row` of a matrix of rows as long as x, times x. */
  const dot = (name: string, row: number, x: readonly number[]): number => {
    const { data } = weights.get(name)!;
    let total = 0;
    for (const [i, value] of x.entries()) total += Number(data[row * x.length + i]) * value;
    return total;
  };
  const list = (count: number, of: (i: number) => number): number[] => Array.from({ length: count }, (_, i) => of(i));
  const shared = (values: readonly number[]): number[] => {
    const powers = values.map((value) => Math.exp(value - Math.max(...values)));
    const total = powers.reduce((a, b) => a + b);
    return powers.map((power) => power / total);
  };
  /** Φ by Simpson's rule on the density, so that no erf is taken from the code under test. */
  const gelu = (z: number): number => {
    const steps = 2000;
    const h = z / steps;
    let area = 0;
    for (let i = 0; i <= steps; i++) {
      const weight = i === 0 || i === steps ? 1 : i % 2 === 1 ? 4 : 2;
      area += weight * Math.exp(-((i * h) ** 2) / 2);
    }
    return z * (0.5 + (area * h) / 3 / Math.sqrt(2 * Math.PI));
  };
  const silu = (z: number): number => z / (1 + Math.exp(-z));

  return rows.map((x) => {
    const logits = list(experts, (e) => dot('router.weight', e, x));
    const chosen = [...logits.keys()].sort((a, b) => logits[b]! - logits[a]! || a - b).slice(0, kept);
    const all = shared(logits);
    let shares = softmax === 'before' ? chosen.map((e) => all[e]!) : shared(chosen.map((e) => logits[e]!));
    if (renormalise) {
      const total = shares.reduce((a, b) => a + b);
      shares = shares.map((share) => share / total);
    }
    const y = list(width, () => 0);
    for (const [k, e] of chosen.entries()) {
      const up = list(inner, (i) => dot('experts.in.weight', e * inner + i, x));
      const active =
        activation === 'gelu'
          ? up.map(gelu)
          : up.map((value, i) => silu(dot('experts.gate.weight', e * inner + i, x)) * value);
      for (let d = 0; d < width; d++) y[d]! += shares[k]! * dot('experts.out.weight', e * width + d, active);
    }
    return y;
  });
}
