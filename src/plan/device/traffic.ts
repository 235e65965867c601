// What a launch of a device has to move and to compute: the figures that counters are compared with. By kernel, from the shapes of
// its operands; where a kernel reads but parts of an operand (rows of a table, seen positions of a cache), the rule stands here.

import { invariant } from '../../support/errors.ts';
import {
  type Described,
  gatherDot,
  gatherFrom,
  gatherPool,
  gridTopk,
  last,
  leastBytes,
  moves,
  type OperandTraffic,
  operandsBy,
  overTokens,
  per,
  product,
  type Rule as RuleOf,
  rescoreTopk,
  type Sized as SizedOf,
  type StepShape,
  seen,
  sumGridTopk,
  type Touched,
  type Traffic,
  trafficBy,
  windowTouched,
} from '../traffic.ts';
import type { DeviceLaunch } from './launch.ts';

type Rule = RuleOf<DeviceLaunch>;
type Sized = SizedOf<DeviceLaunch>;

const described = (launch: DeviceLaunch): Described<DeviceLaunch> => ({
  launch,
  kernel: launch.kernel,
  rows: launch.rows,
  parameters: launch.pointers,
});

/** Bytes and operations of a launch in a step. */
export const trafficOf = (launch: DeviceLaunch, step: StepShape): Traffic =>
  trafficBy(ruleOf(launch), described(launch), step);

/** Operands of a launch, and what moves of each in a step. */
export const operandsOf = (launch: DeviceLaunch, step: StepShape): readonly OperandTraffic[] =>
  operandsBy(ruleOf(launch), described(launch), step);

/** What several launches would move as one that keeps everything in `inner` buffers to itself: see leastBytes. */
export const leastTraffic = (
  launches: readonly DeviceLaunch[],
  inner: (buffer: string) => boolean,
  step: StepShape,
): Omit<Traffic, 'flops'> =>
  leastBytes(
    launches.flatMap((launch) => operandsOf(launch, step)),
    inner,
  );

function ruleOf({ kernel }: DeviceLaunch): Rule {
  const rule = rules[kernel];
  invariant(rule !== undefined, `plan/device/traffic.ts has no rule for the kernel ${kernel}`);
  return rule;
}

/** Kernels that a figure is known for: all that a plan may launch. */
export const knownKernels = (): readonly string[] => Object.keys(rules);

/** x [rows,K] · w [N,K]: 2·rows·N·K. Views may belong to several products side by side: a launch reads its own part. */
const linear: Rule = {
  flops: ({ rows, size }) => 2 * rows * size('w'),
  touches({ rows, dims }) {
    const [N, K] = dims('w') as [number, number];
    return { x: { read: rows * K }, y: { written: rows * N } };
  },
};

/** Every token with every key (H,N,D): 2·T·H·N·D a side. */
const scores: Rule = { flops: ({ rows, size }) => 2 * rows * size('keys') };
const scoresOfBoth: Rule = { flops: ({ rows, size }) => 2 * rows * (size('keys_row') + size('keys_col')) };

/**
 * x by the matrix of each choice, 2·T·K·N·D; of the matrices (E,N,D) as many as choices can name, each once. That tokens agree on
 * fewer is known only when the step has run.
 */
const expertLinear: Rule = {
  flops: ({ size, dims }) => 2 * size('y') * last(dims('w')),
  touches({ size, dims }) {
    const [E, N, D] = dims('w') as [number, number, number];
    return { w: { read: Math.min(E, size('pairs')) * N * D } };
  },
};

/** As many functions per element as the expression has. */
const elementwise: Rule = {
  flops: ({ launch, size }) => ((launch.map?.expr.split('(').length ?? 1) - 1) * size('y'),
};

/** The products of one element: the second list of sizes is of the axes that are summed. */
const einsum: Rule = {
  flops: ({ launch, size }) =>
    2 * size('y') * product(launch.constants.filter((c): c is readonly number[] => Array.isArray(c))[1]!),
};

/** A row of every token goes into each cache. */
const append: Rule = {
  flops: () => 0,
  touches: ({ size }) => ({ kcache: { written: size('k') }, vcache: { written: size('v') } }),
};

/** The caches (S,C,Hkv,D) at the positions seen; 4·Hq·D operations per token and position it looks at. */
const attend: Rule = {
  flops: ({ step, dims }) => 4 * overTokens(step, (positions) => positions) * product(dims('q').slice(1)),
  touches(launch) {
    const cache = { read: seen(launch.step) * product(launch.dims('kcache').slice(2)) };
    return { kcache: cache, vcache: cache, ...partsTouched(launch, 'written') };
  },
};

/** Partial results, (tokens,Hq,parts,D+2): those of positions that a token looks at. */
function partsTouched({ launch, step, dims }: Sized, access: 'read' | 'written'): Touched {
  const { part } = launch;
  if (part === undefined) return {};
  const [, Hq, , width] = dims('parts') as [number, number, number, number];
  return { parts: { [access]: overTokens(step, (positions) => Math.ceil(positions / part)) * Hq * width } };
}

const attendMerge: Rule = {
  flops: (launch) => 2 * partsTouched(launch, 'read').parts!.read!,
  touches: (launch) => partsTouched(launch, 'read'),
};

/** K taps per element, 2·T·D·K; of the window (S,K−1,D) the part of the step's sequences. */
const conv = (access: { readonly reads: boolean; readonly writes: boolean }): Rule => ({
  flops: ({ has, size, dims }) => (has('y') ? 2 * size('y') * last(dims('w')) : 0),
  touches(launch) {
    const { read, written } = windowTouched(launch);
    return { window: { read: access.reads ? read : 0, written: access.writes ? written : 0 } };
  },
});

/** One rule per kernel of native/cuda. */
const rules: Readonly<Record<string, Rule>> = {
  add_norm: per('y', 5),
  attention_append: append,
  attention_merge: attendMerge,
  attention_parts: attend,
  attention_tiles: attend,
  causal_conv: conv({ reads: true, writes: true }),
  causal_conv_keep: conv({ reads: false, writes: true }),
  causal_conv_many: conv({ reads: true, writes: false }),
  copy: moves,
  einsum,
  elementwise,
  expert_groups: moves,
  expert_linear: expertLinear,
  expert_linear_mma: expertLinear,
  gather: gatherFrom('source'),
  gather_dot: gatherDot,
  gather_pool: gatherPool,
  gather_rows: gatherFrom('table'),
  grid_topk: gridTopk,
  group_sum: per('x', 1),
  linear_few: linear,
  linear_few_mma: linear,
  linear_many: linear,
  linear_many_mma: linear,
  norm: per('y', 4),
  reduce: per('x', 1),
  rescore_topk: rescoreTopk,
  rope: per('y', 3),
  score_topk_merge: moves,
  score_topk_mma: scores,
  score_topk_mma_pair: scoresOfBoth,
  score_topk_one: scores,
  score_topk_one_pair: scoresOfBoth,
  score_topk_tile: scores,
  score_topk_tile_pair: scoresOfBoth,
  softmax: per('y', 4),
  sum_grid_topk: sumGridTopk,
  topk: moves,
};
