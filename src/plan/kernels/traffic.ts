// What a launch of the CPU's kernels has to move and to compute: one rule per kernel, as device/traffic.ts has them for devices.

import type { Kernel } from '../launch.ts';
import {
  type Described,
  gatherDot,
  gatherFrom,
  gatherPool,
  gridTopk,
  last,
  moves,
  type OperandTraffic,
  operandsBy,
  overTokens,
  per,
  product,
  type Rule,
  rescoreTopk,
  type StepShape,
  seen,
  sumGridTopk,
  type Traffic,
  trafficBy,
  windowTouched,
} from '../traffic.ts';
import type { AnyLaunch, Launch, View } from '../types.ts';

function described(launch: AnyLaunch): Described<AnyLaunch> {
  const views = (of: object): [string, View | null][] => Object.entries(of);
  return {
    launch,
    kernel: launch.kernel,
    rows: launch.rows,
    parameters: [
      ...views(launch.reads).map(([name, view]) => ({ name, view, access: 'read' as const })),
      ...views(launch.writes).map(([name, view]) => ({ name, view, access: 'write' as const })),
    ],
  };
}

const ruleOf = ({ kernel }: AnyLaunch): Rule<AnyLaunch> => rules[kernel] as Rule<AnyLaunch>;

/** Bytes and operations of a launch in a step. */
export const trafficOf = (launch: AnyLaunch, step: StepShape): Traffic =>
  trafficBy(ruleOf(launch), described(launch), step);

/** Operands of a launch, and what moves of each in a step. */
export const operandsOf = (launch: AnyLaunch, step: StepShape): readonly OperandTraffic[] =>
  operandsBy(ruleOf(launch), described(launch), step);

/** x [rows,K] by a packed [N,K]: 2·rows·N·K. Views may belong to several products side by side: a launch reads its own part. */
const linear: Rule<Launch<'linear'>> = {
  flops: ({ rows, launch: { constants } }) => 2 * rows * constants.N * constants.K,
  touches: ({ rows, launch: { constants } }) => ({
    x: { read: rows * constants.K },
    y: { written: rows * constants.N },
  }),
};

/** Every token with every key, by bytes; then at least those that are kept, exactly. */
const scoreTopk: Rule<Launch<'score_topk'>> = {
  flops: ({ rows, size }) => 2 * rows * size('keys'),
  touches: ({ size, dims }) => ({ keys: { read: size('index') * last(dims('keys')) } }),
};

/** x by the matrix of each choice; of the matrices (E,N,D) as many as choices can name, each once. */
const expertLinear: Rule<Launch<'expert_linear'>> = {
  flops: ({ size, dims }) => 2 * size('y') * last(dims('weights')),
  touches({ size, dims }) {
    const [E, N, D] = dims('weights') as [number, number, number];
    return { weights: { read: Math.min(E, size('pairs')) * N * D } };
  },
};

/** gather_pool, then a linear over what it pooled: T tokens of G·D by [out, G·D]. */
const poolLinear: Rule<Launch<'pool_linear'>> = {
  flops(sized) {
    const { G, D, out } = sized.launch.constants;
    return gatherPool.flops(sized) + 2 * sized.rows * G * D * out;
  },
  touches: (sized) => ({
    ...gatherPool.touches?.(sized),
    y: { written: sized.rows * sized.launch.constants.out },
  }),
};

/** The caches (S,C,Hkv,D) at the positions seen, with a row of every token; 4·Hq·D operations per token and position it looks at. */
const attention: Rule<Launch<'attention'>> = {
  flops: ({ step, dims }) => 4 * overTokens(step, (positions) => positions) * product(dims('q').slice(1)),
  touches({ step, dims, size }) {
    const read = seen(step) * product(dims('kcache').slice(2));
    return { kcache: { read, written: size('k') }, vcache: { read, written: size('v') } };
  },
};

/** One rule per kernel of native/cpu. */
const rules: { readonly [K in Kernel]: Rule<Launch<K>> } = {
  add_norm: per('y', 5),
  ask_rows: { flops: () => 0, touches: () => ({ table: {} }) }, // the pages of the rows are read by who gathers them
  attention,
  causal_conv: {
    flops: ({ size, dims }) => 2 * size('y') * last(dims('w')),
    touches: (launch) => ({ window: windowTouched(launch) }),
  },
  copy: moves,
  einsum: {
    flops: ({ size, launch: { constants } }) => 2 * size('y') * product(constants.dims.slice(constants.yRank)),
  },
  elementwise: { flops: ({ size, launch: { constants } }) => (constants.expr.split('(').length - 1) * size('y') },
  expert_groups: moves,
  expert_linear: expertLinear,
  fill: moves,
  gather: gatherFrom('source'),
  gather_dot: gatherDot,
  gather_pool: gatherPool,
  gather_rows: gatherFrom('table'),
  grid_topk: gridTopk,
  group_sum: per('x', 1),
  linear,
  norm: per('y', 4),
  pack_keys: moves,
  pack_linear: moves,
  pool_linear: poolLinear,
  rank1: moves, // of matrices of a few rows, once when weights load
  reduce: per('x', 1),
  rescore_topk: rescoreTopk,
  rope: per('y', 3),
  score_topk: scoreTopk,
  softmax: per('y', 4),
  sum_grid_topk: sumGridTopk,
  topk: moves,
};
