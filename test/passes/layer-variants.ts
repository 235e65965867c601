// Memory layers written by hand in the words of the DSL, with everything that may vary.

import fc from 'fast-check';
import {
  add,
  einsum,
  embedding,
  type F32,
  gather,
  groupSum,
  type I32,
  idiv,
  imod,
  layerNorm,
  linear,
  model,
  mul,
  relu,
  reshape,
  rmsNorm,
  silu,
  slice,
  softmax,
  sum,
  take,
  topk,
  trace,
  transpose,
  unstack,
  weightedSum,
} from 'ultramem';
import type { Graph } from '../../src/ir/graph.ts';

const D = 6;

export interface LayerOptions {
  H?: number;
  n?: number;
  r?: number;
  h?: number;
  E?: number;
  m?: number;
  d?: number;
  Dv?: number;
  norm?: 'rms' | 'layer' | 'none';
  shuffle?: boolean;
  perRank?: boolean;
  /** On the rank scores, before they are merged. */
  onScores?: (scores: F32) => F32;
  /** On the scores of chosen rows [T,R,h], before pooling. */
  onWeights?: (weights: F32) => F32;
  /** How the core scores of the grid come about: [T,H,h,m,m] of row [T,H,m,r], col, core [H,h,r,r]. */
  grid?: (row: F32, col: F32, core: F32) => F32;
  merge?: (ranks: F32, u: F32) => F32;
  pool?: (table: F32, slot: I32, scores: F32, sizes: PoolSizes) => F32;
}

export interface PoolSizes {
  readonly N: number;
  readonly E: number;
  readonly weight: (name: string, shape: readonly number[]) => F32;
}

/** One layer; T tokens of width D. */
export function layerVariant(options: LayerOptions): Graph {
  const {
    H = 2,
    n = 6,
    r = 2,
    h = 2,
    E = 4,
    m = 3,
    d = 4,
    Dv = 8,
    norm = 'rms',
    shuffle = true,
    perRank = false,
  } = options;
  const {
    onScores = (x) => x,
    onWeights = (x) => x,
    grid = inOrder,
    merge = weightedSum,
    pool = weighThenPool,
  } = options;
  const keys = Math.sqrt(E) * n;
  return trace(
    model('variant', (w) => {
      const T = w.symbol('T');
      const x = w.input('x', [T, D]);
      const normed = (value: F32, name: string): F32 =>
        norm === 'none' ? value : (norm === 'rms' ? rmsNorm : layerNorm)(value, w.weight(name, [d]));
      const projected = linear(x, w.weight('query', [2 * d * (perRank ? r : 1), D]));
      const query = normed(reshape(projected, perRank ? [T, 2, r, d] : [T, 2, d]), 'query_norm');
      const key = normed(transpose(w.weight('keys', [H, 2, keys, d, r]), [0, 1, 2, 4, 3]), 'key_norm');
      const core = w.weight('core', [H, h, r, r]);
      const [row, col] = unstack(query, { axis: 1, count: 2 }).map((q, side) => {
        const k = unstack(key, { axis: 1, count: 2 })[side]!;
        const ranks = onScores(einsum(perRank ? 'trd,hnrd->thnr' : 'td,hnrd->thnr', q, k));
        const [, index] = topk(merge(ranks, w.weight(`u${side}`, [H, r])), { k: m });
        return { index, scores: take(ranks, index) };
      }) as [{ index: I32; scores: F32 }, { index: I32; scores: F32 }];
      const cells = grid(row.scores, col.scores, core);
      const [, position] = topk(reshape(sum(cells, { axis: 2 }), [T, H, m * m]), { k: m });
      const address = add(mul(take(row.index, idiv(position, m)), keys), take(col.index, imod(position, m)));
      const flat = reshape(address, [T, H * m]);
      const slots = E * n * n;
      const slot = shuffle
        ? gather('n,tr->tr', w.weight('shuffle', [slots], { dtype: 'i32', below: slots }), flat)
        : flat;
      const chosen = gather('thcg,thm->thmc', reshape(cells, [T, H, h, m * m]), position);
      const weights = onWeights(reshape(chosen, [T, H * m, h]));
      const pooled = pool(w.weight('values', [n * n, Dv]), slot, weights, {
        N: n * n,
        E,
        weight: (name, shape) => w.weight(name, [...shape]),
      });
      const width = Number(pooled.shape[1]);
      w.output('y', linear(pooled, w.weight('project', [D, width])));
    }),
  );
}

/** Row and core first, then the columns. */
export const inOrder = (row: F32, col: F32, core: F32): F32 =>
  einsum('thcas,thbs->thcab', einsum('thar,hcrs->thcas', row, core), col);

/** Core and columns first. */
export const fromTheRight = (row: F32, col: F32, core: F32): F32 =>
  einsum('thar,thcbr->thcab', row, einsum('hcrs,thbs->thcbr', core, col));

/** Every axis in another place. */
export const turned = (row: F32, col: F32, core: F32): F32 => {
  const half = einsum('srch,ahtr->schat', transpose(core, [3, 2, 1, 0]), transpose(row, [2, 1, 0, 3]));
  return transpose(einsum('thbs,schat->bcaht', col, half), [4, 3, 1, 2, 0]);
};

export const productsSummed = (ranks: F32, u: F32): F32 =>
  sum(mul(ranks, reshape(u, [Number(u.shape[0]), 1, Number(u.shape[1])])), { axis: 3 });

/** Rows split into slices, slices weighted, rows summed by block: [T,E·Dv]. */
export function weighThenPool(table: F32, slot: I32, scores: F32, { N, E }: PoolSizes): F32 {
  const [T, R, h] = scores.shape as [string, number, number];
  const Dv = Number(table.shape[1]);
  const slices = reshape(embedding(table, imod(slot, N)), [T, R, h, Dv / h]);
  const weighted = reshape(mul(slices, reshape(scores, [T, R, h, 1])), [T, R, Dv]);
  return reshape(groupSum(weighted, idiv(slot, N), { groups: E }), [T, E * Dv]);
}

/** Every row multiplied by its block's own projector, then weighted by its first score and summed: [T,5]. */
export function projectThenPool(table: F32, slot: I32, scores: F32, { N, E, weight }: PoolSizes): F32 {
  const [T, R] = scores.shape as [string, number];
  const projectors = weight('projectors', [E, 5, Number(table.shape[1])]);
  const all = einsum('trv,pdv->trpd', embedding(table, imod(slot, N)), projectors);
  const own = gather('trpd,tr->trd', all, idiv(slot, N));
  return sum(mul(own, reshape(slice(scores, { start: 0, end: 1 }), [T, R, 1])), { axis: 1 });
}

/** No blocks: rows weighted by their first score and summed: [T,Dv]. */
export function bag(table: F32, slot: I32, scores: F32, { N }: PoolSizes): F32 {
  const [T, R] = scores.shape as [string, number];
  const first = reshape(slice(scores, { start: 0, end: 1 }), [T, R]);
  return einsum('trd,tr->td', embedding(table, imod(slot, N)), softmax(first));
}

/** All options, by chance. At least two rows are kept, and fewer than there are keys: else there is nothing to choose. */
export const arbitraryLayer: fc.Arbitrary<LayerOptions> = fc.record({
  H: fc.integer({ min: 1, max: 3 }),
  n: fc.integer({ min: 5, max: 7 }),
  r: fc.integer({ min: 1, max: 3 }),
  h: fc.constantFrom(1, 2, 4),
  E: fc.constantFrom(1, 4, 9),
  m: fc.integer({ min: 2, max: 4 }),
  d: fc.integer({ min: 3, max: 6 }),
  norm: fc.constantFrom('rms', 'layer', 'none'),
  shuffle: fc.boolean(),
  perRank: fc.boolean(),
  onScores: oneOf({ same, half, relu }),
  onWeights: oneOf({ same, silu, softmax }),
  grid: oneOf({ inOrder, fromTheRight, turned }),
  merge: oneOf({ weightedSum, productsSummed }),
  pool: oneOf({ weighThenPool, projectThenPool, bag }),
});

/** One of several functions, shown by its name. */
function oneOf<F extends object>(functions: Readonly<Record<string, F>>): fc.Arbitrary<F> {
  const named = Object.entries(functions).map(([name, f]) =>
    Object.defineProperty(f, fc.toStringMethod, { value: () => name, configurable: true }),
  );
  return fc.constantFrom(...named);
}

function same(x: F32): F32 {
  return x;
}

function half(x: F32): F32 {
  return mul(x, 0.5);
}
