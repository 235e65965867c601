// The UltraMem V1 memory layer, op by op as UltraMem §1 and the reference state it. Fusing it is the compiler's work.

import {
  causalConv,
  type F32,
  type I32,
  idiv,
  imod,
  linear,
  type ModelContext,
  reshape,
  unstack,
  type WeightPlacement,
} from '../dsl/index.ts';
import { poolSlices } from './pooling.ts';
import { refuseSizes, type Tapped, tapsOf } from './tapped.ts';
import { normed, tuckerRetrieval } from './tucker.ts';

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
 * Weights, by the reference's names: `query_proj.weight`, `query_norm.weight`, `values_for_look_up`, `values_proj.weight` and those of
 * `tuckerRetrieval`; with `queryConv` also `query_conv.weight` [D,K].
 * Taps carry the reference's names too; reference-taps.ts says where their axes stand in another order.
 */
export function ultramemV1(m: ModelContext, x: F32, options: UltramemV1Options): F32 {
  const sizes = sizesOf(options);
  const { D, n, Dv, N, E, h, prefix } = sizes;
  const refused = refuse(m, sizes);
  if (refused) return refused;
  const T = x.shape[0] ?? 1;
  const tapped = tapsOf(m, options.taps ?? 'mid.');

  const [row, col] = queries(m, x, options, sizes, tapped);
  const { slot, scores } = tuckerRetrieval(
    m,
    { row, col, per: options.queryPerRank === true ? 'rank' : 'token' },
    {
      ...{ keys: sizes.keys, kdim: sizes.Dk, heads: sizes.H, rank: sizes.r, cores: h, side: sizes.m, kept: sizes.m },
      ...{ shuffle: options.shuffle !== false, prefix, ...options },
    },
    tapped,
  );

  // Virtual slot → block and row of the table (§1.11-12).
  const block = tapped('group_index', idiv(slot, N)); // [T,R], below E
  const tableRow = tapped('real_index', imod(slot, N)); // [T,R], below n²

  // Slice c of a row is weighted by core c's own score; rows are summed per virtual block (§1.13).
  tapped('lookup_scores', scores);
  const { valuePlacement: placement = 'memory' } = options;
  const table = m.weight(`${prefix}values_for_look_up`, [n * n, Dv], { placement });
  const pooled = tapped('pooled', reshape(poolSlices(table, { row: tableRow, block, scores }, E), [T, E * Dv]));
  return linear(pooled, m.weight(`${prefix}values_proj.weight`, [D, E * Dv]));
}

type Sizes = ReturnType<typeof sizesOf>;

function sizesOf(options: UltramemV1Options) {
  const { width: D, knum: n, kdim: Dk, vdim: Dv, knn: m } = options;
  const { heads: H = 2, rank: r = 2, cores: h = 2, expansion: E = 4, prefix = '' } = options;
  const root = Math.round(Math.sqrt(E));
  return { D, n, Dk, Dv, m, H, r, h, E, root, keys: root * n, N: n * n, prefix };
}

function refuse(model: ModelContext, { prefix: _, ...sizes }: Sizes): F32 | undefined {
  const { E, root, Dv, h } = sizes;
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
  return refuseSizes(model, 'ultramemV1', sizes);
}

/** The row half and the column half of the query, normed: [T,Dk] shared by all heads and ranks, or [T,r,Dk] (§1.1-3). */
function queries(
  model: ModelContext,
  x: F32,
  options: UltramemV1Options,
  { D, Dk, r, prefix }: Sizes,
  tapped: Tapped,
): [F32, F32] {
  const T = x.shape[0] ?? 1;
  const perRank = options.queryPerRank === true;
  const width = (perRank ? 2 * r : 2) * Dk;
  const halves = perRank ? [T, 2, r, Dk] : [T, 2, Dk];
  const source = options.queryConv === undefined ? x : convolved(model, x, options.queryConv, { D, prefix });
  const projected = tapped('query_proj', linear(source, model.weight(`${prefix}query_proj.weight`, [width, D])));
  const weight = model.weight(`${prefix}query_norm.weight`, [Dk]);
  const both = tapped('query_norm', normed(reshape(projected, halves), weight, options));
  return unstack(both, { axis: 1, count: 2 }) as [F32, F32];
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
