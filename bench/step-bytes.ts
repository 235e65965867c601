// Bytes that one step, a token of each of its sequences, must read from what does not fit into a cache: weights as they are stored, what
// its tokens choose, and their key and value caches. Values between kernels are left out: they are few, and stay in the caches.

import { translate } from 'ultramem/compile';

type Model = Parameters<typeof translate>[0];
export type CpuPlan = Extract<ReturnType<typeof translate>['plan'], { readonly target: 'cpu' }>;
type Launch = CpuPlan['variants'][number]['launches'][number];
type View = Extract<Launch, { readonly kernel: 'gather_pool' }>['writes']['y'];

export interface StepBytes {
  /** Weights that every step reads whole. */
  readonly weights: number;
  /** Rows of tables (of embeddings, keys and values) and matrices of experts, each once, whichever tokens choose it. */
  readonly rows: number;
  /** Keys and values of the positions before the tokens, and other states. */
  readonly states: number;
}

export interface Step {
  /** Each of a sequence of its own. */
  readonly tokens: number;
  /** Where every token stands. */
  readonly position: number;
  /**
   * How many rows, or matrices, of the table in a buffer the tokens choose between them, where that is known. Else they are taken to choose as
   * different ones as they can.
   */
  readonly distinct?: (buffer: string) => number | undefined;
}

const widths = { f32: 4, f16: 2, bf16: 2, i32: 4, i64: 8, i8: 1, f8: 1 } as const;

/** What a model's plan for the CPU reads in a step. */
export const stepBytesOf = (model: Model, precision: 'f32' | 'bf16', step: Step): StepBytes =>
  stepBytes(translate(model, { precision }).plan as CpuPlan, step);

/** What a plan reads in a step, by its variant for so many tokens. @throws Error where no variant takes them */
export function stepBytes({ variants }: CpuPlan, step: Step): StepBytes {
  const variant = variants.find(({ maxTokens }) => step.tokens <= maxTokens);
  if (variant === undefined) throw new Error(`no step of this plan takes ${step.tokens} tokens`);
  const { launches, buffers } = variant;
  const spaces = new Map(buffers.map(({ name, space }) => [name, space]));
  const total = { weights: 0, rows: 0, states: 0 };
  for (const launch of launches) {
    const chosen = chosenElements(launch, step);
    for (const [name, view] of Object.entries(launch.reads) as [string, View | null][]) {
      if (view === null) continue;
      const space = spaces.get(view.buffer);
      if (space !== 'weight' && space !== 'prepared') continue;
      const elements = chosen[name] ?? whole(view);
      total[name in chosen ? 'rows' : 'weights'] += elements * widths[view.dtype];
    }
    for (const view of Object.values(launch.writes) as View[]) {
      if (spaces.get(view.buffer) === 'state') {
        total.states += step.tokens * stateElements(launch, view, step.position) * widths[view.dtype];
      }
    }
  }
  return total;
}

/** Elements with every symbol at 1: of a value, those of one token; of a state, those of one sequence. */
const whole = ({ shape }: View): number => shape.reduce<number>((n, dim) => n * (typeof dim === 'number' ? dim : 1), 1);

/** Elements of the operands of which tokens read but some. */
function chosenElements(launch: Launch, { tokens, distinct }: Step): Readonly<Record<string, number>> {
  /** Rows of a table of `count` when each token chooses `each`. */
  const rows = (count: number, each: number, table: View | null = null): number =>
    (table && distinct?.(table.buffer)) ?? Math.min(count, tokens * each);
  switch (launch.kernel) {
    case 'gather_rows': {
      const { N, D } = launch.constants;
      return { table: rows(N, whole(launch.writes.y) / D, launch.reads.table) * D };
    }
    case 'gather':
      return { source: Math.min(whole(launch.reads.source!), tokens * whole(launch.writes.y)) };
    case 'gather_pool':
    case 'pool_linear': {
      const { N, R, D } = launch.constants;
      return { table: rows(N, R, launch.reads.table) * D };
    }
    case 'gather_dot': {
      const { H, N, M, R, D } = launch.constants;
      return { keys: H * rows(N, M) * R * D };
    }
    case 'score_topk': {
      // All keys are read once, packed as bytes; then at least those that are kept, to score them exactly.
      const { H, N, K, D } = launch.constants;
      return { keys: H * rows(N, K) * D };
    }
    case 'rescore_topk': {
      const { H, N, M, R, D, K } = launch.constants;
      const keys = H * rows(N, M) * R * D;
      // `next` is the table of the gather after it, which counts its rows.
      return { keysRow: keys, keysCol: keys, shuffle: tokens * H * K, next: 0 };
    }
    case 'expert_linear': {
      const { E, N, D, K } = launch.constants;
      return { weights: rows(E, K, launch.reads.weights) * N * D };
    }
    default:
      return {};
  }
}

/** Elements that a token reads of a state (S, …): of a cache (S,C,Hkv,D) the positions before its own, else all of its sequence's. */
const stateElements = (launch: Launch, view: View, position: number): number =>
  launch.kernel === 'attention' ? (whole(view) / Number(view.shape[1])) * position : whole(view);
