// PKM and PEER once more, from the formulas of UltraMem §3: every expert's score, token by token, in plain loops over all n² rows.
// No product-key trick, no folded norm: what the presets are held to where no reference output exists.

import type { PkmOptions } from 'ultramem/models';
import type { Tensor } from '../../src/support/tensor.ts';

type Weights = ReadonlyMap<string, Tensor>;
type Layer = (options: PkmOptions, weights: Weights, rows: readonly number[][]) => number[][];

/** Σ over all heads and their m best rows of softmax(score)·value. */
export const naivePkm: Layer = (options, weights, rows) => naive(options, weights, rows, () => 1, 'values.weight');

/** Σ over all heads and their m best experts of softmax(score)·GELU(⟨u,x⟩)·w. */
export const naivePeer: Layer = (options, weights, rows) => {
  const { width } = options;
  const activation = (x: readonly number[], expert: number): number => {
    const u = weights.get('down.weight')!.data;
    return gelu(x.reduce((sum, value, d) => sum + value * Number(u[expert * width + d]), 0));
  };
  return naive(options, weights, rows, activation, 'up.weight');
};

function naive(
  { width, knum, kdim, knn, heads = 4, queryNorm = true, eps = 1e-5 }: PkmOptions,
  weights: Weights,
  rows: readonly number[][],
  factor: (x: readonly number[], row: number) => number,
  values: string,
): number[][] {
  const at = (name: string, i: number): number => Number(weights.get(name)!.data[i]);
  const query = (x: readonly number[], i: number): number => {
    const y = x.reduce(
      (sum, value, d) => sum + value * at('query_proj.weight', i * width + d),
      at('query_proj.bias', i),
    );
    if (!queryNorm) return y;
    const centred = (y - at('query_norm.running_mean', i)) / Math.sqrt(at('query_norm.running_var', i) + eps);
    return centred * at('query_norm.weight', i) + at('query_norm.bias', i);
  };
  return rows.map((x) => {
    const out = new Array<number>(width).fill(0);
    for (let h = 0; h < heads; h++) {
      const side = (which: number, key: number): number => {
        let score = 0;
        for (let d = 0; d < kdim; d++) {
          score += query(x, (h * 2 + which) * kdim + d) * at('keys', ((h * 2 + which) * knum + key) * kdim + d);
        }
        return score;
      };
      const [row, col] = [0, 1].map((which) => Array.from({ length: knum }, (_, key) => side(which, key)));
      const scores = Array.from({ length: knum * knum }, (_, i) => row![Math.floor(i / knum)]! + col![i % knum]!);
      const best = [...scores.keys()].sort((a, b) => scores[b]! - scores[a]! || a - b).slice(0, knn);
      const powers = best.map((i) => Math.exp(scores[i]! - scores[best[0]!]!));
      const total = powers.reduce((a, b) => a + b, 0);
      for (const [j, i] of best.entries()) {
        const weight = (powers[j]! / total) * factor(x, i);
        for (let d = 0; d < width; d++) out[d]! += weight * at(values, i * width + d);
      }
    }
    return out;
  });
}

/** x·Φ(x), Φ by Simpson's rule from 0 to x. */
function gelu(x: number): number {
  const steps = 2000;
  const density = (z: number): number => Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI);
  let area = density(0) + density(x);
  for (let i = 1; i < steps; i++) area += (i % 2 === 1 ? 4 : 2) * density((x * i) / steps);
  return x * (0.5 + (area * x) / steps / 3);
}
