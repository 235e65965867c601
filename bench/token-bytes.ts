// Bytes that one token of one sequence must read from what does not fit into a cache: weights as they are stored, the rows it
// chooses, and its key and value cache. Values between kernels are left out: they are few, and stay in the caches.

import { translate } from 'ultramem/compile';

type Model = Parameters<typeof translate>[0];
type Plan = Extract<ReturnType<typeof translate>['plan'], { readonly target: 'cpu' }>;
type Launch = Plan['variants'][number]['launches'][number];
type View = Extract<Launch, { readonly kernel: 'gather_pool' }>['writes']['y'];

export interface TokenBytes {
  /** Weights that every token reads whole. */
  readonly weights: number;
  /** Rows of tables, chosen by the token: of embeddings, keys and values. */
  readonly rows: number;
  /** Keys and values of the positions before it, and other states. */
  readonly states: number;
}

const widths = { f32: 4, f16: 2, bf16: 2, i32: 4, i64: 8, i8: 1, f8: 1 } as const;

/** What a step of one token at `position` reads, by the CPU's plan for steps of one token. */
export function tokenBytes(model: Model, precision: 'f32' | 'bf16', position: number): TokenBytes {
  const plan = translate(model, { precision }).plan as Plan;
  const { launches, buffers } = plan.variants[0]!;
  const spaces = new Map(buffers.map(({ name, space }) => [name, space]));
  const total = { weights: 0, rows: 0, states: 0 };
  for (const launch of launches) {
    const chosen = chosenElements(launch);
    for (const [name, view] of Object.entries(launch.reads) as [string, View | null][]) {
      if (view === null) continue;
      const space = spaces.get(view.buffer);
      if (space !== 'weight' && space !== 'prepared') continue;
      const elements = chosen[name] ?? whole(view);
      total[name in chosen ? 'rows' : 'weights'] += elements * widths[view.dtype];
    }
    for (const view of Object.values(launch.writes) as View[]) {
      if (spaces.get(view.buffer) === 'state')
        total.states += stateElements(launch, view, position) * widths[view.dtype];
    }
  }
  return total;
}

/** Elements with every symbol at 1. */
const whole = ({ shape }: View): number => shape.reduce<number>((n, dim) => n * (typeof dim === 'number' ? dim : 1), 1);

/** Elements of the operands of which a token reads but some. */
function chosenElements(launch: Launch): Readonly<Record<string, number>> {
  switch (launch.kernel) {
    case 'gather_rows':
      return { table: whole(launch.writes.y) };
    case 'gather':
      return { source: whole(launch.writes.y) };
    case 'gather_pool':
      return { table: launch.constants.R * launch.constants.D };
    case 'gather_dot': {
      const { H, M, R, D } = launch.constants;
      return { keys: H * M * R * D };
    }
    case 'score_topk': {
      // All keys are read once, packed as bf16; then at least those that are kept, to score them exactly.
      const { H, K, D } = launch.constants;
      return { keys: H * K * D };
    }
    case 'rescore_topk': {
      const { H, M, R, D, K } = launch.constants;
      // `next` is the table of the gather after it, which counts its rows.
      return { keysRow: H * M * R * D, keysCol: H * M * R * D, shuffle: H * K, next: 0 };
    }
    default:
      return {};
  }
}

/** Elements that are read of a state (S, …): of a cache (S,C,Hkv,D) the positions before the token's, else all of a sequence's. */
const stateElements = (launch: Launch, view: View, position: number): number =>
  launch.kernel === 'attention' ? (whole(view) / Number(view.shape[1])) * position : whole(view);
