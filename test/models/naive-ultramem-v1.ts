// UltraMem V1 once more, from the formulas, token by token in plain loops: what the preset is held to where no reference output exists.

import type { UltramemV1Options } from 'ultramem/models';
import type { Tensor } from '../../src/support/tensor.ts';

type Weights = ReadonlyMap<string, Tensor>;

/** Output rows for input rows x; `rows` are the tokens of one sequence in order, from its first. */
export function naiveLayer(options: UltramemV1Options, weights: Weights, rows: readonly number[][]): number[][] {
  const { knum, kdim, vdim, knn, heads = 2, rank = 2, cores = 2, expansion = 4 } = options;
  const { norm = 'rms', eps = 1e-5, queryPerRank = false, queryConv, shuffle = true } = options;
  const keyCount = Math.round(Math.sqrt(expansion)) * knum;
  const at = (name: string, i: number): number => Number(weights.get(name)!.data[i]);
  const sum = (count: number, of: (i: number) => number): number => {
    let total = 0;
    for (let i = 0; i < count; i++) total += of(i);
    return total;
  };
  const normed = (x: number[], weight: string): number[] => {
    const mean = norm === 'layer' ? sum(x.length, (i) => x[i]!) / x.length : 0;
    const scale = 1 / Math.sqrt(sum(x.length, (i) => (x[i]! - mean) ** 2) / x.length + eps);
    return x.map((value, i) => (value - mean) * scale * at(weight, i));
  };
  const best = (scores: number[], k: number): number[] =>
    [...scores.keys()].sort((a, b) => scores[b]! - scores[a]! || a - b).slice(0, k);
  /** Key i of a head and side, rank ρ: keys [H,2,n',Dk,r]. */
  const key = (h: number, side: number, i: number, rho: number): number[] =>
    normed(
      Array.from({ length: kdim }, (_, d) => at('keys', (((h * 2 + side) * keyCount + i) * kdim + d) * rank + rho)),
      'keys_norm.weight',
    );
  const keys = [0, 1].map((side) =>
    range(heads).map((h) => range(keyCount).map((i) => range(rank).map((rho) => key(h, side, i, rho)))),
  );
  const core = (c: number, h: number, a: number, b: number): number =>
    at(`tucker_core.${c}`, (h * rank + a) * rank + b);
  const merges = range(heads).map((h) => mergeVectors(h));

  return rows.map((_, position) => {
    const x = queryConv === undefined ? rows[position]! : convolved(position, queryConv.kernel);
    const projected = range((queryPerRank ? 2 * rank : 2) * kdim).map((j) =>
      sum(x.length, (d) => at('query_proj.weight', j * x.length + d) * x[d]!),
    );
    /** Query of a side; one for all ranks, or [2,r,Dk]. */
    const query = (side: number, rho: number): number[] => {
      const start = (queryPerRank ? side * rank + rho : side) * kdim;
      return normed(projected.slice(start, start + kdim), 'query_norm.weight');
    };
    const pooled = new Array<number>(expansion * vdim).fill(0);
    for (let h = 0; h < heads; h++) {
      const [rowScores, colScores] = [0, 1].map((side) =>
        keys[side]![h]!.map((ranks) => ranks.map((k, rho) => sum(kdim, (d) => query(side, rho)[d]! * k[d]!))),
      ) as [number[][], number[][]];
      const merged = (scores: number[][], weight: number[]) =>
        scores.map((s) => sum(rank, (rho) => weight[rho]! * s[rho]!));
      const rowBest = best(merged(rowScores, merges[h]!.u), knn);
      const colBest = best(merged(colScores, merges[h]!.v), knn);
      const grid = rowBest.flatMap((i) =>
        colBest.map((j) =>
          range(cores).map((c) =>
            sum(rank, (a) => sum(rank, (b) => rowScores[i]![a]! * core(c, h, a, b) * colScores[j]![b]!)),
          ),
        ),
      );
      for (const place of best(
        grid.map((s) => s.reduce((a, b) => a + b)),
        knn,
      )) {
        const index = rowBest[Math.floor(place / knn)]! * keyCount + colBest[place % knn]!;
        const slot = shuffle ? at('shuffle_index', index) : index;
        const [block, row] = [Math.floor(slot / knum ** 2), slot % knum ** 2];
        for (let d = 0; d < vdim; d++) {
          const score = grid[place]![Math.floor(d / (vdim / cores))]!;
          pooled[block * vdim + d]! += score * at('values_for_look_up', row * vdim + d);
        }
      }
    }
    const width = rows[0]!.length;
    return range(width).map((o) =>
      sum(pooled.length, (j) => at('values_proj.weight', o * pooled.length + j) * pooled[j]!),
    );
  });

  function convolved(position: number, kernel: number): number[] {
    return rows[0]!.map((_, d) =>
      sum(
        Math.min(kernel, position + 1),
        (j) => at('query_conv.weight', d * kernel + kernel - 1 - j) * rows[position - j]![d]!,
      ),
    );
  }

  /** The stored pair, or leading singular vectors of Σ C by power iteration, Σu > 0. */
  function mergeVectors(h: number): { u: number[]; v: number[] } {
    const stored = ['tucker_core_u', 'tucker_core_v'].map((name) =>
      weights.has(name) ? range(rank).map((i) => at(name, h * rank + i)) : range(rank).map(() => 0),
    );
    if (stored.flat().some((value) => value !== 0)) return { u: stored[0]!, v: stored[1]! };
    const total = (a: number, b: number) => sum(cores, (c) => core(c, h, a, b));
    const unit = (x: number[]) => x.map((value) => value / Math.hypot(...x));
    let u = unit(range(rank).map(() => 1));
    let v: number[] = [];
    for (let i = 0; i < 2000; i++) {
      v = unit(range(rank).map((b) => sum(rank, (a) => total(a, b) * u[a]!)));
      u = unit(range(rank).map((a) => sum(rank, (b) => total(a, b) * v[b]!)));
    }
    const sign = sum(rank, (i) => u[i]!) > 0 ? 1 : -1;
    return { u: u.map((value) => sign * value), v: v.map((value) => sign * value) };
  }
}

const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
