// The UltraMem V1 memory layer, op by op as UltraMem §1 and the reference state it. Fusing it is the compiler's work.

import {
  add,
  causalConv,
  concat,
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
  type ModelContext,
  mul,
  rank1,
  reshape,
  rmsNorm,
  sum,
  take,
  topk,
  transpose,
  unstack,
  type WeightPlacement,
  weightedSum,
} from '../dsl/index.ts';

/** Sizes and options of a layer; letters in brackets are those of UltraMem §1. */
export interface UltramemV1Options {
  /** Width of x and of the result [D]. */
  readonly width: number;
  /** Physical keys per side [n]; the value table has n² rows. */
  readonly knum: number;
  /** Width of a key [Dk]. */
  readonly kdim: number;
  /** Width of a value row [Dv]; a multiple of `cores`. */
  readonly vdim: number;
  /** Rows kept per head [m]. */
  readonly knn: number;
  /** Heads [H]; default 2. */
  readonly heads?: number;
  /** Tucker rank [r]; default 2. */
  readonly rank?: number;
  /** Score cores [h]; default 2. */
  readonly cores?: number;
  /** Virtual blocks [E], a perfect square; default 4. */
  readonly expansion?: number;
  /** Norm of queries and keys; default rms. `layer` has a weight and no bias. */
  readonly norm?: 'rms' | 'layer';
  /** Of the norms; default 1e-5. */
  readonly eps?: number;
  /** A query of its own for every rank; off in the reference. Default false. */
  readonly queryPerRank?: boolean;
  /** Causal convolution before the query (UltraMem §1.1), off in the reference. `kernel`: its size, 4 in doubt. */
  readonly queryConv?: { readonly kernel: number; readonly positions: I32; readonly sequence: I32 };
  /** Whether slots go through the stored permutation `shuffle_index`; default true. */
  readonly shuffle?: boolean;
  /** Where the value table lies: see WeightOptions; default `memory`. */
  readonly valuePlacement?: WeightPlacement;
  /** Put before every weight's name; default none. */
  readonly prefix?: string;
  /** Put before every tap's name; default `mid.`. */
  readonly taps?: string;
}

/**
 * One UltraMem V1 memory: x f32[T,D], the normed input of a block's feed-forward part → f32[T,D], to be added to the residual stream.
 *
 * Weights, by the reference's names: `query_proj.weight`, `query_norm.weight`, `keys`, `keys_norm.weight`, `tucker_core.c`,
 * `tucker_core_u`, `tucker_core_v` (optional: rank-one factors are computed where they are absent or zero),
 * `shuffle_index`, `values_for_look_up`, `values_proj.weight`; with `queryConv` also `query_conv.weight` [D,K].
 * Taps carry the reference's names too; reference-taps.ts says where their axes stand in another order.
 */
export function ultramemV1(m: ModelContext, x: F32, options: UltramemV1Options): F32 {
  const sizes = sizesOf(options);
  const { D, n, Dv, N, E, h, prefix, taps } = sizes;
  const refused = refuseSizes(m, sizes);
  if (refused) return refused;
  const T = x.shape[0] ?? 1;
  const tapped = <X extends F32 | I32>(name: string, value: X): X => m.tap<'f32' | 'i32'>(`${taps}${name}`, value) as X;

  const [queryRow, queryCol] = queries(m, x, options, sizes);
  const [keysRow, keysCol] = sideKeys(m, options, sizes);
  const { core, u, v } = tuckerCores(m, sizes);
  const row = scoreSide(sizes, { side: 1, query: queryRow, keys: keysRow, merge: u }, tapped);
  const col = scoreSide(sizes, { side: 2, query: queryCol, keys: keysCol, merge: v }, tapped);
  const { index, scores } = bestOfGrid(sizes, T, { row, col, core }, tapped);

  // Virtual slot → block and row of the table (§1.11-12).
  const shuffled = options.shuffle === false ? index : shuffle(m, index, sizes);
  const slot = tapped('shuffled_index', shuffled);
  const block = tapped('group_index', idiv(slot, N)); // [T,R], below E
  const tableRow = tapped('real_index', imod(slot, N)); // [T,R], below n²

  // Slice c of a row is weighted by core c's own score; rows are summed per virtual block (§1.13).
  const { valuePlacement: placement = 'memory' } = options;
  const table = m.weight(`${prefix}values_for_look_up`, [n * n, Dv], { placement });
  const R = slot.shape[1] ?? 1;
  const slices = reshape(embedding(table, tableRow), [T, R, h, Dv / h]);
  const weighted = reshape(mul(slices, reshape(scores, [T, R, h, 1])), [T, R, Dv]);
  const pooled = tapped('pooled', reshape(groupSum(weighted, block, { groups: E }), [T, E * Dv]));
  return linear(pooled, m.weight(`${prefix}values_proj.weight`, [D, E * Dv]));
}

type Sizes = ReturnType<typeof sizesOf>;
type Tapped = <X extends F32 | I32>(name: string, value: X) => X;

function sizesOf(options: UltramemV1Options) {
  const { width: D, knum: n, kdim: Dk, vdim: Dv, knn: m } = options;
  const { heads: H = 2, rank: r = 2, cores: h = 2, expansion: E = 4, prefix = '', taps = 'mid.' } = options;
  const root = Math.round(Math.sqrt(E));
  return { D, n, Dk, Dv, m, H, r, h, E, root, keys: root * n, N: n * n, prefix, taps };
}

function refuseSizes(model: ModelContext, { E, root, Dv, h, ...rest }: Sizes): F32 | undefined {
  if (root * root !== E) {
    return model.refuse(`ultramemV1: expansion ${E} is no perfect square`, {
      hint: 'keys per side grow by its root: 1, 4, 9, …',
    });
  }
  if (Dv % h !== 0) {
    return model.refuse(`ultramemV1: ${h} cores do not divide vdim ${Dv}`, {
      hint: 'each core weights an equal slice of a row',
    });
  }
  const zero = Object.entries(rest).find(
    ([, value]) => typeof value === 'number' && !(Number.isSafeInteger(value) && value > 0),
  );
  if (zero === undefined) return undefined;
  return model.refuse(`ultramemV1: size ${zero[0]}`, { got: String(zero[1]), wanted: 'an integer of at least 1' });
}

/** The row half and the column half of the query, normed: [T,Dk] shared by all heads and ranks, or [T,r,Dk] (§1.1-3). */
function queries(
  model: ModelContext,
  x: F32,
  options: UltramemV1Options,
  { D, Dk, r, prefix, taps }: Sizes,
): [F32, F32] {
  const T = x.shape[0] ?? 1;
  const perRank = options.queryPerRank === true;
  const width = (perRank ? 2 * r : 2) * Dk;
  const halves = perRank ? [T, 2, r, Dk] : [T, 2, Dk];
  const source = options.queryConv === undefined ? x : convolved(model, x, options.queryConv, { D, prefix });
  const projected = model.tap(
    `${taps}query_proj`,
    linear(source, model.weight(`${prefix}query_proj.weight`, [width, D])),
  );
  const weight = model.weight(`${prefix}query_norm.weight`, [Dk]);
  const normed = model.tap(`${taps}query_norm`, norm(reshape(projected, halves), weight, options));
  return unstack(normed, { axis: 1, count: 2 }) as [F32, F32];
}

function convolved(
  model: ModelContext,
  x: F32,
  { kernel, positions, sequence }: NonNullable<UltramemV1Options['queryConv']>,
  { D, prefix }: Pick<Sizes, 'D' | 'prefix'>,
): F32 {
  const S = model.symbol('S');
  const window = model.state(`${prefix}query_conv.window`, [S, kernel - 1, D]);
  return causalConv(x, model.weight(`${prefix}query_conv.weight`, [D, kernel]), { positions, sequence, window });
}

/** The row keys and the column keys, normed over their width: [H,n',r,Dk] each (§1.4). */
function sideKeys(
  model: ModelContext,
  options: UltramemV1Options,
  { H, keys, Dk, r, prefix, taps }: Sizes,
): [F32, F32] {
  const stored = model.weight(`${prefix}keys`, [H, 2, keys, Dk, r]);
  const weight = model.weight(`${prefix}keys_norm.weight`, [Dk]);
  const normed = model.tap(`${taps}keys_norm`, norm(transpose(stored, [0, 1, 2, 4, 3]), weight, options));
  return unstack(normed, { axis: 1, count: 2 }) as [F32, F32];
}

/** All cores C^(c) as [H,h,r,r], and the factors u, v [H,r] that merge rank scores (§1.6). */
function tuckerCores(model: ModelContext, { H, h, r, prefix }: Sizes): { core: F32; u: F32; v: F32 } {
  const cores = Array.from({ length: h }, (_, c) =>
    reshape(model.weight(`${prefix}tucker_core.${c}`, [H, r, r]), [H, 1, r, r]),
  );
  const core = cores.length === 1 ? cores[0]! : concat(cores, { axis: 1 });
  const stored = (name: string): F32 =>
    reshape(model.weight(`${prefix}${name}`, [1, H, 1, r], { optional: true }), [H, r]);
  const [u, v] = rank1(sum(core, { axis: 1 }), stored('tucker_core_u'), stored('tucker_core_v'));
  return { core, u, v };
}

/** The m best keys of a side: their indices [T,H,m], and their scores of every rank [T,H,m,r] (§1.5-7). */
function scoreSide(
  { m }: Sizes,
  { side, query, keys, merge }: { side: 1 | 2; query: F32; keys: F32; merge: F32 },
  tapped: Tapped,
): { index: I32; scores: F32 } {
  const labels = query.shape.length === 3 ? 'trd,hnrd->thnr' : 'td,hnrd->thnr';
  const ranks = tapped(`scores${side}_refine`, einsum(labels, query, keys)); // [T,H,n',r]
  const merged = tapped(`scores${side}`, weightedSum(ranks, merge)); // [T,H,n']
  const [best, index] = topk(merged, { k: m });
  tapped(`stage1_scores${side}`, best);
  tapped(`stage1_index${side}`, index);
  return { index, scores: take(ranks, index) };
}

/** The m best of the m·m grid: their virtual indices [T,R] and core scores [T,R,h], heads one after the other (§1.8-10). */
function bestOfGrid(
  { m, H, h, keys }: Sizes,
  T: number | string,
  { row, col, core }: { row: { index: I32; scores: F32 }; col: { index: I32; scores: F32 }; core: F32 },
  tapped: Tapped,
): { index: I32; scores: F32 } {
  const halfway = einsum('thar,hcrs->thcas', row.scores, core);
  const grids = einsum('thcas,thbs->thcab', halfway, col.scores); // [T,H,h,m,m]
  const grid = tapped('grid_scores', reshape(sum(grids, { axis: 2 }), [T, H, m * m]));
  const [best, position] = topk(grid, { k: m });
  tapped('grid_top_scores', best);
  tapped('grid_top_pos', position);
  const rowIndex = take(row.index, idiv(position, m));
  const colIndex = take(col.index, imod(position, m));
  const index = tapped('best_index', reshape(add(mul(rowIndex, keys), colIndex), [T, H * m]));
  const ofCore = gather('thcg,thm->thmc', reshape(grids, [T, H, h, m * m]), position);
  const scores = tapped('best_scores', reshape(ofCore, [T, H * m, h]));
  tapped('lookup_scores', scores);
  return { index, scores };
}

/** Slots through the stored permutation of all E·n² of them (§1.11). */
function shuffle(model: ModelContext, index: I32, { E, N, prefix }: Sizes): I32 {
  const table = model.weight(`${prefix}shuffle_index`, [E * N], { dtype: 'i32', below: E * N });
  return gather('n,tr->tr', table, index);
}

const norm = (x: F32, weight: F32, { norm: kind = 'rms', eps = 1e-5 }: UltramemV1Options): F32 =>
  kind === 'layer' ? layerNorm(x, weight, { eps }) : rmsNorm(x, weight, { eps });
