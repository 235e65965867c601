// The UltraMem V2 memory layer (UltraMem §2): a window of a table that all layers share, pre-values, key and value expansion.

import {
  add,
  einsum,
  embedding,
  type F32,
  gelu,
  idiv,
  imod,
  linear,
  type ModelContext,
  mul,
  reshape,
  slice,
  stack,
  sum,
  unstack,
  type WeightPlacement,
} from '../dsl/index.ts';
import { poolSlices } from './pooling.ts';
import { refuseSizes, type Tapped, tapsOf } from './tapped.ts';
import { normed, tuckerRetrieval } from './tucker.ts';

/** Sizes and options of a layer; letters in brackets are those of UltraMem §2. */
export interface UltramemV2Options {
  /** Width of x and of the result [D]. */
  readonly width: number;
  /** Layers that share the tables. */
  readonly layers: number;
  /** Keys per side that a layer brings to the tables [n]: they have n²·layers rows [A]. */
  readonly knum: number;
  /** Share of the tables that a layer sees: windows of n_w² rows, n_w = ⌊√(A·share)⌋; default 1. */
  readonly share?: number;
  /** Keys per side over n_w [a]: a² virtual blocks [E]; default 2. */
  readonly keyExpansion?: number;
  /** Whether blocks have a projector each (default), or are summed before one projector. */
  readonly expandValues?: boolean;
  /** Width of a key [Dk]. */
  readonly kdim: number;
  /** Width of a value row [Dv]; a multiple of `cores`. */
  readonly vdim: number;
  /** Width of a pre-value row [Dp]; 0 for none, the default. */
  readonly preVdim?: number;
  /** Whether pre-scores go through GELU; default false. */
  readonly preGelu?: boolean;
  /** Rows kept per head [m]; at most 128 keys are kept per side. */
  readonly knn: number;
  /** Heads [H], at most 4; head h reads query ⌊h/2⌋. Default 1. */
  readonly heads?: number;
  /** Tucker rank [r]; default 2. */
  readonly rank?: number;
  /** Score cores [h]; default 2. */
  readonly cores?: number;
  /** Norm of queries and keys; default rms. */
  readonly norm?: 'rms' | 'layer';
  /** Of the norms; default 1e-5. */
  readonly eps?: number;
  /** A query per rank as the paper has it, shared by the heads, in place of the reference's two for pairs of heads. Default false. */
  readonly queryPerRank?: boolean;
  /** Where the shared tables lie: in memory, the default, or in the checkpoint's file, rows read as they are chosen. */
  readonly valuePlacement?: WeightPlacement;
}

/** What all layers of a model share. */
export interface V2Tables {
  /** f32[A,Dv] */
  readonly values: F32;
  /** f32[A,Dp]; none where `preVdim` is 0. */
  readonly preValues: F32 | undefined;
}

/** Names of one layer among those that share tables. */
export interface SharedLayerNames {
  /** Which layer, from 0. */
  readonly n: number;
  /** Before its weights' names, as `mem_blocks.0.`. */
  readonly prefix: string;
  /** Before its taps' names, as `mid.0.`. */
  readonly taps: string;
}

const queryGroups = 2; // the reference's queries, each for two heads
const mostPerSide = 128; // keys kept in stage 1, whatever the final m

/** Declares the shared tables: `full_memory_layer.values_for_look_up` [A,Dv] and `….pre_values_for_look_up` [A,Dp] behind `prefix`. */
export function ultramemV2Tables(m: ModelContext, options: UltramemV2Options, prefix = ''): V2Tables {
  const { knum, layers, vdim, preVdim = 0, valuePlacement: placement = 'memory' } = options;
  const rows = knum * knum * layers;
  const table = (name: string, width: number) =>
    m.weight(`${prefix}full_memory_layer.${name}`, [rows, width], { placement });
  return {
    values: table('values_for_look_up', vdim),
    preValues: preVdim === 0 ? undefined : table('pre_values_for_look_up', preVdim),
  };
}

/**
 * Layer n of an UltraMem V2 memory: x f32[T,D] → f32[T,D], to be added to the residual stream.
 *
 * Slot w of layer n is row (w mod n_w² + n·n²) mod A of the tables, in block w div n_w². Weights: `query_proj.weight` [4·Dk,D] (with
 * `queryPerRank` [2·r·Dk,D]), `query_norm.weight`, `pre_values_proj.weight` [Dp,D], `values_proj.weight`, those of `tuckerRetrieval`.
 */
export function ultramemV2(
  m: ModelContext,
  x: F32,
  tables: V2Tables,
  options: UltramemV2Options & SharedLayerNames,
): F32 {
  const sizes = sizesOf(options);
  const { D, Dv, H, window, rows, E, prefix, queryPerRank, n } = sizes;
  const refused = refuse(m, sizes, options);
  if (refused) return refused;
  const T = x.shape[0] ?? 1;
  const tapped = tapsOf(m, options.taps);

  const [row, col] = queryPerRank ? queriesPerRank(m, x, sizes, tapped) : queriesPerPair(m, x, sizes, tapped);
  const per = queryPerRank ? 'rank' : H > queryGroups ? 'head' : 'token';
  const retrieved = tuckerRetrieval(m, { row, col, per }, sizes, tapped);
  const block = tapped('group_index', idiv(retrieved.slot, window)); // [T,R], below E
  const inWindow = imod(retrieved.slot, window);
  const first = n * options.knum ** 2; // the window's first row; windows wrap round the table
  const tableRow = tapped('real_index', imod(add(inWindow, first), rows)); // [T,R], below A

  const scores = tapped(
    'lookup_scores',
    gatedByPreValues(m, x, tables, { tableRow, scores: retrieved.scores }, sizes, tapped),
  );
  const pooled = poolSlices(tables.values, { row: tableRow, block, scores }, E); // [T,E,Dv]
  const joined = tapped('pooled', reshape(pooled, [T, E * Dv]));
  const [blocks, width] = options.expandValues === false ? [sum(pooled, { axis: 1 }), Dv] : [joined, E * Dv];
  return linear(blocks, m.weight(`${prefix}values_proj.weight`, [D, width]));
}

type Sizes = ReturnType<typeof sizesOf>;

function sizesOf(options: UltramemV2Options & SharedLayerNames) {
  const { width: D, layers, knum, share = 1, keyExpansion: a = 2, kdim, vdim: Dv, preVdim: Dp = 0, knn } = options;
  const { heads = 1, rank = 2, cores = 2, preGelu = false, queryPerRank = false, n, prefix, norm, eps } = options;
  const rows = knum * knum * layers; // A
  const windowKeys = Math.floor(Math.sqrt(rows * share)); // n_w
  const counts = { D, Dv, H: heads, h: cores, kdim, keys: a * windowKeys, kept: knn, layers, rows, heads, rank, cores };
  const choices = { n, Dp, preGelu, queryPerRank, prefix, ...(norm && { norm }), ...(eps && { eps }), shuffle: true };
  return { ...counts, ...choices, window: windowKeys ** 2, E: a * a, side: Math.min(knn, mostPerSide) };
}

function refuse(m: ModelContext, sizes: Sizes, { share = 1, layers, knum }: UltramemV2Options): F32 | undefined {
  const { D, Dv, h, H, kdim, keys, kept, rows, rank, E, window, n, queryPerRank } = sizes;
  if (!(share > 0) || window > rows) {
    return m.refuse(`ultramemV2: a share of ${share} is a window of ${window} rows past a table of ${rows}`, {
      got: String(share),
      wanted: 'a share above 0 and at most 1',
      hint: 'windows wrap round the table, and each of their rows is another one of it',
    });
  }
  const wrong = refuseSizes(m, 'ultramemV2', {
    knum,
    D,
    Dv,
    kdim,
    keys,
    knn: kept,
    layers,
    rows,
    rank,
    heads: H,
    cores: h,
    E,
  });
  if (wrong) return wrong;
  if (Dv % h !== 0) {
    const hint = 'each core weights an equal slice of a row';
    return m.refuse(`ultramemV2: ${h} cores do not divide vdim ${Dv}`, { hint });
  }
  if (!Number.isSafeInteger(n) || n < 0 || n >= layers) {
    const wanted = `0..${layers - 1}`;
    return m.refuse(`ultramemV2: layer ${n} of ${layers}`, { got: String(n), wanted, hint: 'count it in `layers`' });
  }
  if (!queryPerRank && H > 2 * queryGroups) {
    const hint = 'with queryPerRank all heads share one query per rank, and there may be any number';
    return m.refuse(`ultramemV2: ${H} heads`, { got: String(H), wanted: `at most ${2 * queryGroups}`, hint });
  }
  return undefined;
}

/** The reference's queries: two groups of a row half and a column half; heads 0 and 1 read the first, 2 and 3 the second. */
function queriesPerPair(
  m: ModelContext,
  x: F32,
  { D, H, kdim, prefix, ...choice }: Sizes,
  tapped: Tapped,
): [row: F32, col: F32] {
  const T = x.shape[0] ?? 1;
  const weight = m.weight(`${prefix}query_proj.weight`, [queryGroups * 2 * kdim, D]);
  const norm = m.weight(`${prefix}query_norm.weight`, [kdim]);
  const whole = tapped('query_proj', linear(x, weight));
  const query = tapped('query_norm', normed(reshape(whole, [T, queryGroups, 2, kdim]), norm, choice));
  if (H <= 2) {
    // Nobody reads the second group: its rows of the weight are left alone.
    const first = linear(x, slice(weight, { axis: 0, start: 0, end: 2 * kdim }));
    return unstack(normed(reshape(first, [T, 2, kdim]), norm, choice), { axis: 1, count: 2 }) as [F32, F32];
  }
  const each = unstack(query, { axis: 1, count: queryGroups });
  const side = (which: 0 | 1): F32 => {
    const ofGroups = each.map((group) => unstack(group, { axis: 1, count: 2 })[which]!);
    return stack(
      Array.from({ length: H }, (_, head) => ofGroups[Math.floor(head / 2)]!),
      { axis: 1 },
    );
  };
  return [side(0), side(1)];
}

/** The paper's queries: one per side and rank, shared by the heads: [T,r,Dk] each (UltraMem §2). */
function queriesPerRank(
  m: ModelContext,
  x: F32,
  { D, rank, kdim, prefix, ...choice }: Sizes,
  tapped: Tapped,
): [F32, F32] {
  const T = x.shape[0] ?? 1;
  const projected = tapped('query_proj', linear(x, m.weight(`${prefix}query_proj.weight`, [2 * rank * kdim, D])));
  const both = reshape(projected, [T, 2, rank, kdim]);
  const query = tapped('query_norm', normed(both, m.weight(`${prefix}query_norm.weight`, [kdim]), choice));
  return unstack(query, { axis: 1, count: 2 }) as [F32, F32];
}

/** Every core's score of a row times its pre-score ⟨P[row], Linear(x)⟩, through GELU where asked: f32[T,R,h] (UltraMem §2). */
function gatedByPreValues(
  m: ModelContext,
  x: F32,
  { preValues }: V2Tables,
  { tableRow, scores }: { readonly tableRow: Parameters<typeof embedding>[1]; readonly scores: F32 },
  { D, Dp, preGelu, prefix }: Sizes,
  tapped: Tapped,
): F32 {
  if (preValues === undefined) return scores;
  const z = tapped('pre_input', linear(x, m.weight(`${prefix}pre_values_proj.weight`, [Dp, D])));
  const product = tapped('pre_score', einsum('td,trd->tr', z, embedding(preValues, tableRow)));
  const gate = preGelu ? gelu(product) : product;
  return mul(scores, reshape(gate, [...gate.shape, 1]));
}
