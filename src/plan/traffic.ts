// What a launch has to move and to compute, as far as that is the same on all targets: sizes of a step, bytes of operands, totals.
// The rules by kernel stand in kernels/traffic.ts and device/traffic.ts.
//
// Bytes: every input once, every output once, in the element type of its view. Rows that tokens choose count once per token
// that chooses them: which of them are the same row is known only when the step has run.

import { dtypeBytes } from '../support/dtype.ts';
import { invariant } from '../support/errors.ts';
import type { Count, View } from './types.ts';

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

/** An operand of a launch, and the bytes of it that move. */
export interface OperandTraffic {
  readonly name: string;
  readonly view: View;
  readonly bytesRead: number;
  readonly bytesWritten: number;
  /** Bytes of all of it. */
  readonly whole: number;
  /** Whether the kernel reads no more of it than what tokens choose, or positions that they see. */
  readonly partly: boolean;
}

/** Elements that a kernel touches of an operand, where that is not all of it. */
export type Touched = Readonly<Record<string, { readonly read?: number; readonly written?: number }>>;

/** What is known of a kernel. */
export interface Rule<L> {
  flops(launch: Sized<L>): number;
  touches?(launch: Sized<L>): Touched;
}

/** A parameter of a kernel that points to memory. */
export interface Parameter {
  readonly name: string;
  readonly view: View | null;
  readonly access: 'read' | 'write' | 'update';
}

/** A launch at a step's size. */
export interface Sized<L> {
  readonly launch: L;
  readonly step: StepShape;
  /** Rows of the kernel. */
  readonly rows: number;
  /** Whether the kernel is handed an operand. */
  has(name: string): boolean;
  /** Shape of an operand with T filled in. */
  dims(name: string): readonly number[];
  /** Elements of an operand. */
  size(name: string): number;
}

/** A launch of any target with what its parameters are. */
export interface Described<L> {
  readonly launch: L;
  readonly kernel: string;
  readonly rows: Count;
  readonly parameters: readonly Parameter[];
}

export const elementsOf = ({ shape }: View, { tokens }: StepShape): number =>
  shape.reduce<number>((n, dim) => n * (typeof dim === 'number' ? dim : tokens), 1);

export function sizedLaunch<L>({ launch, kernel, rows, parameters }: Described<L>, step: StepShape): Sized<L> {
  const find = (name: string) => parameters.find((p) => p.name === name)?.view;
  const view = (name: string): View => {
    const found = find(name);
    invariant(found != null, `${kernel} has no operand ${name}`);
    return found;
  };
  return {
    launch,
    step,
    rows: rows.factor * (rows.tokens ? step.tokens : 1),
    has: (name) => find(name) != null,
    dims: (name) => view(name).shape.map((dim) => (typeof dim === 'number' ? dim : step.tokens)),
    size: (name) => elementsOf(view(name), step),
  };
}

/** The operands of a launch and what moves of each; one operand under two names is read once. */
export function operandsBy<L>(rule: Rule<L>, launch: Described<L>, step: StepShape): readonly OperandTraffic[] {
  const touched = rule.touches?.(sizedLaunch(launch, step)) ?? {};
  const seen = new Set<string>();
  return launch.parameters.flatMap(({ name, view, access }) => {
    const key = JSON.stringify(view);
    if (view === null || (access === 'read' && touched[name] === undefined && seen.has(key))) return [];
    seen.add(key);
    const all = elementsOf(view, step);
    const { read = 0, written = 0 } = touched[name] ?? {
      read: access === 'write' ? 0 : all,
      written: access === 'read' ? 0 : all,
    };
    const bytes = dtypeBytes[view.dtype];
    const partly = touched[name] !== undefined;
    return [{ name, view, bytesRead: read * bytes, bytesWritten: written * bytes, whole: all * bytes, partly }];
  });
}

const sum = (operands: readonly Pick<Traffic, 'bytesRead' | 'bytesWritten'>[], of: 'bytesRead' | 'bytesWritten') =>
  operands.reduce((n, operand) => n + operand[of], 0);

/** Bytes and operations of a launch in a step. */
export function trafficBy<L>(rule: Rule<L>, launch: Described<L>, step: StepShape): Traffic {
  const operands = operandsBy(rule, launch, step);
  const flops = rule.flops(sizedLaunch(launch, step));
  return { bytesRead: sum(operands, 'bytesRead'), bytesWritten: sum(operands, 'bytesWritten'), flops };
}

/**
 * What operands of several launches would move if these were one that keeps everything between them to itself: those in `inner`
 * buffers not at all, every other once, and of a table no more than all of it, however many tokens choose its rows.
 */
export function leastBytes(
  operands: readonly OperandTraffic[],
  inner: (buffer: string) => boolean,
): Omit<Traffic, 'flops'> {
  const outer = new Map<string, Pick<Traffic, 'bytesRead' | 'bytesWritten'>>();
  for (const { view, bytesRead, bytesWritten, whole } of operands) {
    if (inner(view.buffer)) continue;
    const key = JSON.stringify(view);
    const before = outer.get(key);
    outer.set(key, {
      bytesRead: Math.min(whole, Math.max(before?.bytesRead ?? 0, bytesRead)),
      bytesWritten: Math.max(before?.bytesWritten ?? 0, bytesWritten),
    });
  }
  const all = [...outer.values()];
  return { bytesRead: sum(all, 'bytesRead'), bytesWritten: sum(all, 'bytesWritten') };
}

export const product = (sizes: readonly number[]): number => sizes.reduce((n, d) => n * d, 1);
export const last = (sizes: readonly number[]): number => sizes.at(-1) ?? 1;

/** No arithmetic that counts. */
export const moves: Rule<unknown> = { flops: () => 0 };

/** So many operations per element of an operand. */
export const per = (operand: string, operations: number): Rule<unknown> => ({
  flops: ({ size }) => operations * size(operand),
});

/** An element of the source for each of the result. */
export const gatherFrom = (source: string): Rule<unknown> => ({
  flops: () => 0,
  touches: ({ size }) => ({ [source]: { read: size('y') } }),
});

/** R rows of D per token, weighted and added: 2·T·R·D. */
export const gatherPool: Rule<unknown> = {
  flops: ({ size, dims }) => 2 * size('slot') * last(dims('table')),
  touches: ({ size, dims }) => ({
    table: { read: size('slot') * last(dims('table')) },
    scale: { read: size('slot') },
  }),
};

/** R ranks of each selected key: T·H·M·R rows of D, 2·T·H·M·R·D. */
export const gatherDot: Rule<unknown> = {
  flops: ({ size, dims }) => 2 * size('y') * last(dims('keys')),
  touches: ({ size, dims }) => ({ keys: { read: size('y') * last(dims('keys')) } }),
};

/** Scores of a grid of M × M cells by C cores of R × R: 2·M·R·C·(R + M) per token and head. */
export const gridFlops = (T: number, H: number, M: number, [, C = 1, R = 1]: readonly number[]): number =>
  2 * T * H * M * R * C * (R + M);

export const gridTopk: Rule<unknown> = {
  flops({ dims }) {
    const [T, H, M] = dims('row') as [number, number, number];
    return gridFlops(T, H, M, dims('core'));
  },
};

/** M selected keys a side, R ranks of D each: 2·T·H·M·R·D elements, and an entry of the shuffle table per result. */
export const rescoreTopk: Rule<unknown> = {
  flops(launch) {
    const { T, H, M, R, D } = rescored(launch);
    return 2 * (2 * T * H * M * R * D) + gridFlops(T, H, M, launch.dims('core'));
  },
  touches(launch) {
    const { T, H, M, R, D } = rescored(launch);
    const rows = { read: T * H * M * R * D };
    // The table that is read next is only asked for: its reader counts its rows.
    return { keysRow: rows, keysCol: rows, shuffle: { read: launch.size('slot') }, next: {} };
  },
};

/** Its sizes. The index is [T,H,M], or a partial list [T,H,parts,2·M] of 64-bit keys as pairs of i32. */
function rescored({ dims }: Sized<unknown>) {
  const [T, H, ...list] = dims('rowIndex') as [number, number, ...number[]];
  const [, , R, D] = dims('keysRow') as [number, number, number, number];
  return { T, H, M: list.length === 1 ? list[0]! : last(list) / 2, R, D };
}

/** A sum for each cell that sorted lists leave in question, and an entry of the shuffle table per result. */
export const sumGridTopk: Rule<unknown> = {
  flops({ size, dims }) {
    const M = last(dims('row'));
    const K = last(dims('scores'));
    const cells = Array.from({ length: M }, (_, a) => Math.min(M, Math.floor(K / (a + 1))));
    return (size('row') / M) * cells.reduce((n, count) => n + count, 0);
  },
  touches: ({ has, size }) => (has('shuffle') ? { shuffle: { read: size('slot') } } : {}),
};

/** Positions that tokens of the step look at, each sequence's once. */
export const seen = ({ runs }: StepShape): number => runs.reduce((n, run) => n + run.position + run.tokens, 0);

/** Σ over tokens of `count` at the number of positions that the token looks at. */
export const overTokens = ({ runs }: StepShape, count: (positions: number) => number): number =>
  runs.reduce((sum, { position, tokens }) => {
    for (let t = 1; t <= tokens; t++) sum += count(position + t);
    return sum;
  }, 0);

/** Elements of a window (S,…) that a step touches: nothing is read before a first token. */
export function windowTouched({ step, dims }: Sized<unknown>): { readonly read: number; readonly written: number } {
  const width = product(dims('window').slice(1));
  return { read: step.runs.filter(({ position }) => position > 0).length * width, written: step.runs.length * width };
}
