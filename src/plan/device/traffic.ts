// What a launch has to move and to compute: the figures that counters are compared with. By kernel, from the shapes of its
// operands; where a kernel reads but parts of an operand (rows of a table, seen positions of a cache), the rule stands here.
//
// Bytes: every input once, every output once, in the element type of its view. Rows that tokens choose count once per token
// that chooses them: which of them are the same row is known only when the step has run.

import { dtypeBytes } from '../../support/dtype.ts';
import { invariant } from '../../support/errors.ts';
import type { View } from '../types.ts';
import type { DeviceLaunch } from './launch.ts';

/** Tokens of one sequence in a step: so many from this position on. */
export interface Run {
  readonly position: number;
  readonly tokens: number;
}

/** What a step is, as far as traffic depends on it. */
export interface StepShape {
  readonly tokens: number;
  /** Of every sequence in the step; empty where the model's steps know no positions. */
  readonly runs: readonly Run[];
}

export interface Traffic {
  readonly bytesRead: number;
  readonly bytesWritten: number;
  /** Additions and multiplications, and functions as one each; comparisons of a selection and copies are none. */
  readonly flops: number;
}

/** Elements that a kernel touches of an operand, where that is not all of it. */
type Touched = Readonly<Record<string, { readonly read?: number; readonly written?: number }>>;

interface Rule {
  flops(launch: Sized): number;
  touches?(launch: Sized): Touched;
}

/** A launch at a step's size. */
interface Sized {
  readonly launch: DeviceLaunch;
  readonly step: StepShape;
  /** Rows of the kernel. */
  readonly rows: number;
  /** Shape of an operand with T filled in. */
  dims(name: string): readonly number[];
  /** Elements of an operand. */
  size(name: string): number;
}

/** Bytes and operations of a launch in a step. */
export function trafficOf(launch: DeviceLaunch, step: StepShape): Traffic {
  const operands = operandsOf(launch, step);
  const flops = ruleOf(launch).flops(sizedLaunch(launch, step));
  return { bytesRead: sum(operands, 'bytesRead'), bytesWritten: sum(operands, 'bytesWritten'), flops };
}

/**
 * What several launches would move as one that keeps everything between them to itself: operands in `inner` buffers not at
 * all, every other once, and of a table no more than all of it, however many tokens choose its rows.
 */
export function leastTraffic(
  launches: readonly DeviceLaunch[],
  inner: (buffer: string) => boolean,
  step: StepShape,
): Omit<Traffic, 'flops'> {
  const outer = new Map<string, Operand>();
  for (const operand of launches.flatMap((launch) => operandsOf(launch, step))) {
    if (inner(operand.view.buffer)) continue;
    const key = JSON.stringify(operand.view);
    const { bytesRead = 0, bytesWritten = 0 } = outer.get(key) ?? {};
    const whole = elementsOf(operand.view, step) * dtypeBytes[operand.view.dtype];
    outer.set(key, {
      view: operand.view,
      bytesRead: Math.min(whole, Math.max(bytesRead, operand.bytesRead)),
      bytesWritten: Math.max(bytesWritten, operand.bytesWritten),
    });
  }
  const operands = [...outer.values()];
  return { bytesRead: sum(operands, 'bytesRead'), bytesWritten: sum(operands, 'bytesWritten') };
}

interface Operand {
  readonly view: View;
  readonly bytesRead: number;
  readonly bytesWritten: number;
}

const sum = (operands: readonly Operand[], figure: 'bytesRead' | 'bytesWritten'): number =>
  operands.reduce((n, operand) => n + operand[figure], 0);

function operandsOf(launch: DeviceLaunch, step: StepShape): readonly Operand[] {
  const touched = ruleOf(launch).touches?.(sizedLaunch(launch, step)) ?? {};
  const seen = new Set<string>();
  return launch.pointers.flatMap(({ name, view, access }) => {
    // One operand under two names is read once.
    const key = JSON.stringify(view);
    if (view === null || (access === 'read' && touched[name] === undefined && seen.has(key))) return [];
    seen.add(key);
    const whole = elementsOf(view, step);
    const { read = 0, written = 0 } = touched[name] ?? {
      read: access === 'write' ? 0 : whole,
      written: access === 'read' ? 0 : whole,
    };
    const bytes = dtypeBytes[view.dtype];
    return [{ view, bytesRead: read * bytes, bytesWritten: written * bytes }];
  });
}

function ruleOf({ kernel }: DeviceLaunch): Rule {
  const rule = rules[kernel];
  invariant(rule !== undefined, `plan/device/traffic.ts has no rule for the kernel ${kernel}`);
  return rule;
}

/** Kernels that a figure is known for: all that a plan may launch. */
export const knownKernels = (): readonly string[] => Object.keys(rules);

function sizedLaunch(launch: DeviceLaunch, step: StepShape): Sized {
  const view = (name: string): View => {
    const found = launch.pointers.find((p) => p.name === name)?.view;
    invariant(found != null, `${launch.kernel} has no operand ${name}`);
    return found;
  };
  return {
    launch,
    step,
    rows: launch.rows.factor * (launch.rows.tokens ? step.tokens : 1),
    dims: (name) => view(name).shape.map((dim) => (typeof dim === 'number' ? dim : step.tokens)),
    size: (name) => elementsOf(view(name), step),
  };
}

const elementsOf = ({ shape }: View, { tokens }: StepShape): number =>
  shape.reduce<number>((n, dim) => n * (typeof dim === 'number' ? dim : tokens), 1);

const product = (sizes: readonly number[]): number => sizes.reduce((n, d) => n * d, 1);
const last = (sizes: readonly number[]): number => sizes.at(-1) ?? 1;

/** No arithmetic that counts. */
const moves: Rule = { flops: () => 0 };

/** So many operations per element of an operand. */
const per = (operand: string, operations: number): Rule => ({ flops: ({ size }) => operations * size(operand) });

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

/** R ranks of each selected key: T·H·M·R rows of D, 2·T·H·M·R·D. */
const gatherDot: Rule = {
  flops: ({ size, dims }) => 2 * size('y') * last(dims('keys')),
  touches: ({ size, dims }) => ({ keys: { read: size('y') * last(dims('keys')) } }),
};

/** Scores of a grid of M × M cells by C cores of R × R: 2·M·R·C·(R + M) per token and head. */
const gridFlops = (T: number, H: number, M: number, [, C = 1, R = 1]: readonly number[]): number =>
  2 * T * H * M * R * C * (R + M);

const gridTopk: Rule = {
  flops({ dims }) {
    const [T, H, M] = dims('row') as [number, number, number];
    return gridFlops(T, H, M, dims('core'));
  },
};

/** M selected keys a side, R ranks of D each: 2·T·H·M·R·D elements, and an entry of the shuffle table per result. */
const rescoreTopk: Rule = {
  flops(launch) {
    const { T, H, M, R, D } = rescored(launch);
    return 2 * (2 * T * H * M * R * D) + gridFlops(T, H, M, launch.dims('core'));
  },
  touches(launch) {
    const { T, H, M, R, D } = rescored(launch);
    const rows = { read: T * H * M * R * D };
    return { keysRow: rows, keysCol: rows, shuffle: { read: launch.size('slot') } };
  },
};

/** Its sizes. The index is [T,H,M], or a partial list [T,H,parts,2·M] of 64-bit keys as pairs of i32. */
function rescored({ dims }: Sized) {
  const [T, H, ...list] = dims('rowIndex') as [number, number, ...number[]];
  const [, , R, D] = dims('keysRow') as [number, number, number, number];
  return { T, H, M: list.length === 1 ? list[0]! : last(list) / 2, R, D };
}

/** A sum for each cell that sorted lists leave in question, and an entry of the shuffle table per result. */
const sumGridTopk: Rule = {
  flops({ size, dims }) {
    const M = last(dims('row'));
    const K = last(dims('scores'));
    const cells = Array.from({ length: M }, (_, a) => Math.min(M, Math.floor(K / (a + 1))));
    return (size('row') / M) * cells.reduce((n, count) => n + count, 0);
  },
  touches: ({ launch, size }) =>
    launch.pointers.some(({ name, view }) => name === 'shuffle' && view !== null)
      ? { shuffle: { read: size('slot') } }
      : {},
};

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

/** R rows of D per token, weighted and added: 2·T·R·D. */
const gatherPool: Rule = {
  flops: ({ size, dims }) => 2 * size('slot') * last(dims('table')),
  touches: ({ size, dims }) => ({
    table: { read: size('slot') * last(dims('table')) },
    scale: { read: size('slot') },
  }),
};

/** An element of the source for each of the result. */
const gatherFrom = (source: string): Rule => ({
  flops: () => 0,
  touches: ({ size }) => ({ [source]: { read: size('y') } }),
});

/** As many functions per element as the expression has. */
const elementwise: Rule = {
  flops: ({ launch, size }) => ((launch.map?.expr.split('(').length ?? 1) - 1) * size('y'),
};

/** The products of one element: the second list of sizes is of the axes that are summed. */
const einsum: Rule = {
  flops: ({ launch, size }) =>
    2 * size('y') * product(launch.constants.filter((c): c is readonly number[] => Array.isArray(c))[1]!),
};

/** Positions that tokens of the step look at, each sequence's once. */
const seen = ({ step }: Sized): number => step.runs.reduce((n, run) => n + run.position + run.tokens, 0);

/** Σ over tokens of `count` at the number of positions that the token looks at. */
const overTokens = ({ step }: Sized, count: (positions: number) => number): number =>
  step.runs.reduce((sum, { position, tokens }) => {
    for (let t = 1; t <= tokens; t++) sum += count(position + t);
    return sum;
  }, 0);

/** A row of every token goes into each cache. */
const append: Rule = {
  flops: () => 0,
  touches: ({ size }) => ({ kcache: { written: size('k') }, vcache: { written: size('v') } }),
};

/** The caches (S,C,Hkv,D) at the positions seen; 4·Hq·D operations per token and position it looks at. */
const attend: Rule = {
  flops: (launch) => 4 * overTokens(launch, (positions) => positions) * product(launch.dims('q').slice(1)),
  touches(launch) {
    const cache = { read: seen(launch) * product(launch.dims('kcache').slice(2)) };
    return { kcache: cache, vcache: cache, ...partsTouched(launch, 'written') };
  },
};

/** Partial results, (tokens,Hq,parts,D+2): those of positions that a token looks at. */
function partsTouched(launch: Sized, access: 'read' | 'written'): Touched {
  const { part } = launch.launch;
  if (part === undefined) return {};
  const [, Hq, , width] = launch.dims('parts') as [number, number, number, number];
  return { parts: { [access]: overTokens(launch, (positions) => Math.ceil(positions / part)) * Hq * width } };
}

const attendMerge: Rule = {
  flops: (launch) => 2 * partsTouched(launch, 'read').parts!.read!,
  touches: (launch) => partsTouched(launch, 'read'),
};

/** K taps per element, 2·T·D·K; of the window (S,K−1,D) the part of the step's sequences, but nothing before a first token. */
const conv = (access: { readonly reads: boolean; readonly writes: boolean }): Rule => ({
  flops: ({ size, dims, launch }) =>
    launch.pointers.some((p) => p.name === 'y') ? 2 * size('y') * last(dims('w')) : 0,
  touches({ step, dims }) {
    const width = product(dims('window').slice(1));
    const kept = step.runs.filter(({ position }) => position > 0).length;
    return {
      window: {
        read: access.reads ? kept * width : 0,
        written: access.writes ? step.runs.length * width : 0,
      },
    };
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
