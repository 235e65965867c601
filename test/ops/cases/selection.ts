// Cases of top-k and of the fused retrieval ops. Data is coarse where an order depends on computed scores, so that every target
// selects the same and ties are common.

import type { Tensor } from '../../../src/support/tensor.ts';
import { f32, GraphDraft, i32 } from '../../graph-draft.ts';
import type { Random } from '../../random.ts';
import { type OpCase, stateless, type Tensors } from '../case.ts';
import { at, best, f32Of, i32Of, list, sum } from '../naive.ts';

const fills: Record<string, (random: Random) => () => number> = {
  normal: (random) => () => random.normal(),
  ties: (random) => () => random.below(4) - 1,
  equal: () => () => 0.25,
  zeros: (random) => () => (random.below(2) === 0 ? 0 : -0),
  nan: (random) => () => (random.below(3) === 0 ? Number.NaN : random.below(5)),
  allNaN: () => () => Number.NaN,
  infinite: (random) => () => [Number.NEGATIVE_INFINITY, 0, Number.POSITIVE_INFINITY][random.below(3)]!,
  denormal: (random) => () => random.normal() * 1e-40,
  rising: () => {
    let next = 0;
    return () => next++;
  },
  falling: () => {
    let next = 0;
    return () => next--;
  },
};

function topkCase(shape: readonly number[], k: number, data: string): OpCase {
  const g = new GraphDraft('topk');
  const [values, index] = g.all('topk', [g.input('x', f32('T', ...shape))], { k });
  const n = shape.at(-1)!;
  const lead = shape.slice(0, -1);
  return stateless(
    'topk',
    `[T,${shape.join(',')}],k=${k},${data}`,
    g.output('values', values!).output('index', index!).build(),
    {
      inputs: (random, T) => ({ x: random.f32([T, ...shape], fills[data]!(random)) }),
      outputs: ({ x }, T) => {
        const rows = new Map<string, number[]>();
        const order = i32Of([T, ...lead, k], (...place) => {
          const row = place.slice(0, -1);
          const known =
            rows.get(row.join()) ??
            best(
              k,
              list(n, (i) => at(x!, ...row, i)),
            );
          rows.set(row.join(), known);
          return known[place.at(-1)!]!;
        });
        return {
          index: order,
          values: f32Of([T, ...lead, k], (...place) => at(x!, ...place.slice(0, -1), at(order, ...place))),
        };
      },
      tolerance: 0,
    },
  );
}

const topks = [
  ...Object.keys(fills).map((data) => topkCase([19], 7, data)),
  topkCase([1], 1, 'normal'),
  topkCase([16], 16, 'ties'),
  topkCase([2, 65], 17, 'nan'),
  topkCase([2, 192], 16, 'normal'),
  topkCase([300], 42, 'ties'),
  topkCase([1500], 256, 'ties'),
];

/** Scores of the keys for a token and head. */
const keyScore = (q: Tensor, keys: Tensor, t: number, h: number, n: number): number => {
  const d = keys.shape.at(-1)!;
  return sum(d, (i) => (q.shape.length === 3 ? at(q, t, h, i) : at(q, t, i)) * at(keys, h, n, i));
};

function scoreTopkCase(sizes: { H: number; n: number; d: number; k: number; perHead: boolean }): OpCase {
  const { H, n, d, k, perHead } = sizes;
  const g = new GraphDraft('score_topk');
  const q = g.input('q', perHead ? f32('T', H, d) : f32('T', d));
  const [values, index] = g.all('score_topk', [q, g.weight('keys', f32(H, n, d))], { k });
  const name = `${perHead ? 'q per head,' : ''}H=${H},n=${n},d=${d},k=${k}`;
  return stateless('score_topk', name, g.output('values', values!).output('index', index!).build(), {
    weights: (random) => ({ keys: random.coarse([H, n, d]) }),
    inputs: (random, T) => ({ q: random.coarse(perHead ? [T, H, d] : [T, d]) }),
    outputs: ({ q, keys }, T) => {
      const order = list(T, (t) =>
        list(H, (h) =>
          best(
            k,
            list(n, (i) => keyScore(q!, keys!, t, h, i)),
          ),
        ),
      );
      return {
        index: i32Of([T, H, k], (t, h, i) => order[t]![h]![i]!),
        values: f32Of([T, H, k], (t, h, i) => keyScore(q!, keys!, t, h, order[t]![h]![i]!)),
      };
    },
    tolerance: 0,
  });
}

const scoreTopks = [
  scoreTopkCase({ H: 1, n: 9, d: 4, k: 3, perHead: false }),
  scoreTopkCase({ H: 2, n: 46, d: 24, k: 7, perHead: false }),
  scoreTopkCase({ H: 2, n: 192, d: 48, k: 16, perHead: false }),
  scoreTopkCase({ H: 4, n: 65, d: 7, k: 65, perHead: false }),
  scoreTopkCase({ H: 3, n: 33, d: 10, k: 5, perHead: true }),
  scoreTopkCase({ H: 2, n: 130, d: 16, k: 42, perHead: true }),
  scoreTopkCase({ H: 8, n: 530, d: 36, k: 200, perHead: true }),
  scoreTopkCase({ H: 1, n: 70, d: 2100, k: 3, perHead: false }),
];

/** Score of a key for one rank; q [T,d], [T,r,d] or [T,H,1,d]. */
const rankScore = (q: Tensor, keys: Tensor, t: number, h: number, n: number, rank: number): number => {
  const query = (i: number): number =>
    q.shape.length === 4 ? at(q, t, h, 0, i) : q.shape.length === 3 ? at(q, t, rank, i) : at(q, t, i);
  return sum(keys.shape.at(-1)!, (i) => query(i) * at(keys, h, n, rank, i));
};

interface Sizes {
  H: number;
  n: number;
  m: number;
  d: number;
  r: number;
  h: number;
  k: number;
  perRank?: boolean;
  perHead?: boolean;
  shuffled?: boolean;
}

/** Axes of a query behind its tokens. */
const queryAxes = ({ H, r, d, perRank, perHead }: Pick<Sizes, 'H' | 'r' | 'd' | 'perRank' | 'perHead'>): number[] =>
  perHead ? [H, 1, d] : perRank ? [r, d] : [d];

const sizesText = (sizes: Partial<Sizes>): string =>
  Object.entries(sizes)
    .map(([name, value]) => (value === true ? name : `${name}=${value}`))
    .join(',');

function gatherDotCase(sizes: Pick<Sizes, 'H' | 'n' | 'm' | 'd' | 'r' | 'perRank' | 'perHead'>): OpCase {
  const { H, n, m, d, r } = sizes;
  const g = new GraphDraft('gather_dot');
  const q = g.input('q', f32('T', ...queryAxes(sizes)));
  const operands = [q, g.weight('keys', f32(H, n, r, d)), g.input('index', i32('T', H, m), n)];
  return stateless('gather_dot', sizesText(sizes), g.output('y', g.node('gather_dot', operands, {})).build(), {
    weights: (random) => ({ keys: random.f32([H, n, r, d]) }),
    inputs: (random, T) => ({ q: random.f32([T, ...queryAxes(sizes)]), index: random.i32([T, H, m], n) }),
    outputs: ({ q, keys, index }, T) => ({
      y: f32Of([T, H, m, r], (t, h, j, rank) => rankScore(q!, keys!, t, h, at(index!, t, h, j), rank)),
    }),
  });
}

const gatherDots = [
  gatherDotCase({ H: 1, n: 5, m: 1, d: 3, r: 1 }),
  gatherDotCase({ H: 2, n: 46, m: 7, d: 24, r: 2 }),
  gatherDotCase({ H: 2, n: 20, m: 16, d: 48, r: 2 }),
  gatherDotCase({ H: 3, n: 17, m: 5, d: 9, r: 3, perRank: true }),
  gatherDotCase({ H: 1, n: 9, m: 5, d: 1100, r: 2 }),
  gatherDotCase({ H: 2, n: 9, m: 33, d: 150, r: 8, perRank: true }),
  gatherDotCase({ H: 3, n: 17, m: 5, d: 9, r: 2, perHead: true }),
  gatherDotCase({ H: 4, n: 20, m: 16, d: 48, r: 2, perHead: true }),
];

/** Best cells of a grid by the sum over cores: positions and each core's score. */
function bestCells(
  T: number,
  { H, m, h: cores, k, r }: Pick<Sizes, 'H' | 'm' | 'h' | 'k' | 'r'>,
  core: Tensor,
  row: (t: number, h: number, a: number, rank: number) => number,
  col: (t: number, h: number, b: number, rank: number) => number,
): { position: Tensor<'i32'>; scores: Tensor<'f32'> } {
  const cell = (t: number, h: number, c: number, p: number) =>
    sum(r, (x) => sum(r, (y) => row(t, h, Math.floor(p / m), x) * at(core, h, c, x, y) * col(t, h, p % m, y)));
  const order = list(T, (t) =>
    list(H, (h) =>
      best(
        k,
        list(m * m, (p) => sum(cores, (c) => cell(t, h, c, p))),
      ),
    ),
  );
  return {
    position: i32Of([T, H, k], (t, h, i) => order[t]![h]![i]!),
    scores: f32Of([T, H, k, cores], (t, h, i, c) => cell(t, h, c, order[t]![h]![i]!)),
  };
}

function gridTopkCase(sizes: Pick<Sizes, 'H' | 'm' | 'r' | 'h' | 'k'>): OpCase {
  const { H, m, r, h, k } = sizes;
  const g = new GraphDraft('grid_topk');
  const operands = [
    g.input('row', f32('T', H, m, r)),
    g.input('col', f32('T', H, m, r)),
    g.weight('core', f32(H, h, r, r)),
  ];
  const [position, scores] = g.all('grid_topk', operands, { k });
  const graph = g.output('position', position!).output('scores', scores!).build();
  return stateless('grid_topk', sizesText(sizes), graph, {
    weights: (random) => ({ core: random.coarse([H, h, r, r]) }),
    inputs: (random, T) => ({ row: random.coarse([T, H, m, r]), col: random.coarse([T, H, m, r]) }),
    outputs: ({ row, col, core }, T): Tensors => ({
      ...bestCells(
        T,
        sizes,
        core!,
        (t, n, a, x) => at(row!, t, n, a, x),
        (t, n, b, y) => at(col!, t, n, b, y),
      ),
    }),
    tolerance: 0,
    counts: [1, 5],
  });
}

const gridTopks = [
  gridTopkCase({ H: 1, m: 1, r: 1, h: 1, k: 1 }),
  gridTopkCase({ H: 2, m: 7, r: 2, h: 2, k: 7 }),
  gridTopkCase({ H: 2, m: 16, r: 2, h: 2, k: 16 }),
  gridTopkCase({ H: 1, m: 5, r: 3, h: 4, k: 25 }),
  gridTopkCase({ H: 3, m: 6, r: 3, h: 3, k: 5 }),
  gridTopkCase({ H: 2, m: 42, r: 1, h: 1, k: 42 }),
  gridTopkCase({ H: 1, m: 40, r: 8, h: 8, k: 256 }),
];

function rescoreCase(sizes: Sizes): OpCase {
  const { H, n, m, d, r, h, k, shuffled = false } = sizes;
  const g = new GraphDraft('rescore_topk');
  const query = f32('T', ...queryAxes(sizes));
  const operands = [
    g.input('rowIndex', i32('T', H, m), n),
    g.input('colIndex', i32('T', H, m), n),
    g.input('qRow', query),
    g.input('qCol', query),
    g.weight('keysRow', f32(H, n, r, d)),
    g.weight('keysCol', f32(H, n, r, d)),
    g.weight('core', f32(H, h, r, r)),
    ...(shuffled ? [g.weight('shuffle', i32(n * n), { below: n * n })] : []),
  ];
  const [slot, scores] = g.all('rescore_topk', operands, { k, shuffled });
  const graph = g.output('slot', slot!).output('scores', scores!).build();
  return stateless('rescore_topk', sizesText(sizes), graph, {
    weights: (random) => ({
      keysRow: random.coarse([H, n, r, d]),
      keysCol: random.coarse([H, n, r, d]),
      core: random.coarse([H, h, r, r]),
      ...(shuffled ? { shuffle: random.permutation(n * n) } : {}),
    }),
    inputs: (random, T) => {
      const q = () => random.coarse([T, ...queryAxes(sizes)]);
      return { rowIndex: random.i32([T, H, m], n), colIndex: random.i32([T, H, m], n), qRow: q(), qCol: q() };
    },
    outputs: (x, T) => {
      const { position, scores } = bestCells(
        T,
        sizes,
        x.core!,
        (t, head, a, rank) => rankScore(x.qRow!, x.keysRow!, t, head, at(x.rowIndex!, t, head, a), rank),
        (t, head, b, rank) => rankScore(x.qCol!, x.keysCol!, t, head, at(x.colIndex!, t, head, b), rank),
      );
      const slot = i32Of([T, H, k], (t, head, i) => {
        const p = at(position, t, head, i);
        const address = at(x.rowIndex!, t, head, Math.floor(p / m)) * n + at(x.colIndex!, t, head, p % m);
        return shuffled ? at(x.shuffle!, address) : address;
      });
      return { slot, scores };
    },
    tolerance: 0,
    counts: [1, 5],
  });
}

const rescores = [
  rescoreCase({ H: 1, n: 4, m: 2, d: 3, r: 1, h: 1, k: 2 }),
  rescoreCase({ H: 2, n: 46, m: 7, d: 8, r: 2, h: 2, k: 7, shuffled: true }),
  rescoreCase({ H: 2, n: 20, m: 16, d: 12, r: 2, h: 2, k: 16, shuffled: true }),
  rescoreCase({ H: 3, n: 11, m: 5, d: 5, r: 3, h: 4, k: 9, perRank: true }),
  rescoreCase({ H: 2, n: 9, m: 4, d: 6, r: 2, h: 1, k: 4, perRank: true, shuffled: true }),
  rescoreCase({ H: 1, n: 30, m: 17, d: 5, r: 8, h: 8, k: 256, perRank: true }),
  rescoreCase({ H: 4, n: 20, m: 6, d: 12, r: 2, h: 2, k: 6, perHead: true, shuffled: true }),
];

/** Scores of few distinct values: many cells are equal, so that the order rule decides. `odd` puts infinities and NaN at the ends. */
function sumGridCase(sizes: {
  H: number;
  keys: number;
  m: number;
  k: number;
  shuffled?: boolean;
  odd?: boolean;
}): OpCase {
  const { H, keys, m, k, shuffled = false, odd = false } = sizes;
  const g = new GraphDraft('sum_grid_topk');
  const operands = [
    g.input('row', f32('T', H, m)),
    g.input('col', f32('T', H, m)),
    g.input('rowIndex', i32('T', H, m), keys),
    g.input('colIndex', i32('T', H, m), keys),
    ...(shuffled ? [g.weight('shuffle', i32(keys * keys), { below: keys * keys })] : []),
  ];
  const [slot, scores] = g.all('sum_grid_topk', operands, { k, keys, shuffled });
  const graph = g.output('slot', slot!).output('scores', scores!).build();
  const sorted = (random: Random, T: number): Tensor<'f32'> => {
    const x = random.coarse([T, H, m]);
    for (let start = 0; start < x.data.length; start += m) {
      const row = x.data
        .subarray(start, start + m)
        .sort()
        .reverse();
      if (odd && start % (2 * m) === 0) row[0] = Number.POSITIVE_INFINITY;
      if (odd && start % (3 * m) === 0) row[m - 1] = start % (2 * m) === 0 ? Number.NaN : Number.NEGATIVE_INFINITY;
    }
    return x;
  };
  return stateless(
    'sum_grid_topk',
    Object.entries(sizes)
      .map(([n, v]) => `${n}=${v}`)
      .join(),
    graph,
    {
      weights: (random) => (shuffled ? { shuffle: random.permutation(keys * keys) } : {}),
      inputs: (random, T) => ({
        ...{ row: sorted(random, T), col: sorted(random, T) },
        ...{ rowIndex: random.i32([T, H, m], keys), colIndex: random.i32([T, H, m], keys) },
      }),
      outputs: ({ row, col, rowIndex, colIndex, shuffle }, T) => {
        const sumOf = (t: number, h: number, i: number): number =>
          Math.fround(at(row!, t, h, Math.floor(i / m)) + at(col!, t, h, i % m));
        const chosen = list(T, (t) =>
          list(H, (h) =>
            best(
              k,
              list(m * m, (i) => sumOf(t, h, i)),
            ),
          ),
        );
        return {
          slot: i32Of([T, H, k], (t, h, i) => {
            const cell = chosen[t]![h]![i]!;
            const address = at(rowIndex!, t, h, Math.floor(cell / m)) * keys + at(colIndex!, t, h, cell % m);
            return shuffle === undefined ? address : at(shuffle, address);
          }),
          scores: f32Of([T, H, k], (t, h, i) => sumOf(t, h, chosen[t]![h]![i]!)),
        };
      },
      tolerance: 0,
      counts: [1, 5],
    },
  );
}

const sumGrids = [
  sumGridCase({ H: 1, keys: 3, m: 1, k: 1 }),
  sumGridCase({ H: 2, keys: 46, m: 7, k: 7, shuffled: true }),
  sumGridCase({ H: 3, keys: 20, m: 16, k: 16 }),
  sumGridCase({ H: 2, keys: 9, m: 5, k: 25 }),
  sumGridCase({ H: 1, keys: 50, m: 42, k: 84 }),
  sumGridCase({ H: 2, keys: 12, m: 6, k: 9, odd: true }),
  sumGridCase({ H: 1, keys: 300, m: 128, k: 200, shuffled: true, odd: true }),
];

function groupSumCase(tail: readonly number[], R: number, groups: number): OpCase {
  const g = new GraphDraft('group_sum');
  const operands = [g.input('x', f32('T', R, ...tail)), g.input('group', i32('T', R), groups)];
  const graph = g.output('y', g.node('group_sum', operands, { groups })).build();
  return stateless('group_sum', `[T,${[R, ...tail].join(',')}],groups=${groups}`, graph, {
    inputs: (random, T) => ({ x: random.f32([T, R, ...tail]), group: random.i32([T, R], groups) }),
    outputs: ({ x, group }, T) => ({
      y: f32Of([T, groups, ...tail], (t, p, ...rest) =>
        sum(R, (j) => (at(group!, t, j) === p ? at(x!, t, j, ...rest) : 0)),
      ),
    }),
  });
}

const groupSums = [
  groupSumCase([6], 5, 4),
  groupSumCase([2, 3], 14, 1),
  groupSumCase([], 7, 3),
  groupSumCase([40], 32, 4),
];

interface ExpertSizes {
  E: number;
  N: number;
  D: number;
  K: number;
  /** Whether each choice has an x of its own. */
  own?: boolean;
  summed?: boolean;
  /** All choose the last expert. */
  one?: boolean;
}

function expertLinearCase(sizes: ExpertSizes, counts?: readonly number[]): OpCase {
  const { E, N, D, K, own = false, summed = false, one = false } = sizes;
  const g = new GraphDraft('expert_linear');
  const operands = [
    g.input('x', own ? f32('T', K, D) : f32('T', D)),
    g.weight('weights', f32(E, N, D)),
    g.input('index', i32('T', K), E),
    ...(summed ? [g.input('scores', f32('T', K))] : []),
  ];
  const text = Object.entries(sizes).map(([name, value]) => (value === true ? name : `${name}=${value}`));
  const graph = g.output('y', g.node('expert_linear', operands, {})).build();
  return stateless('expert_linear', text.join(','), graph, {
    ...(counts ? { counts } : {}),
    weights: (random) => ({ weights: random.f32([E, N, D]) }),
    inputs: (random, T) => ({
      x: random.f32(own ? [T, K, D] : [T, D]),
      index: one ? i32Of([T, K], () => E - 1) : random.i32([T, K], E),
      ...(summed ? { scores: random.f32([T, K]) } : {}),
    }),
    outputs: ({ x, weights, index, scores }, T) => {
      const product = (t: number, k: number, n: number): number =>
        sum(D, (d) => (own ? at(x!, t, k, d) : at(x!, t, d)) * at(weights!, at(index!, t, k), n, d));
      const y = summed
        ? f32Of([T, N], (t, n) => sum(K, (k) => at(scores!, t, k) * product(t, k, n)))
        : f32Of([T, K, N], product);
      return { y };
    },
  });
}

const expertLinears = [
  expertLinearCase({ E: 1, N: 1, D: 1, K: 1 }),
  expertLinearCase({ E: 5, N: 37, D: 33, K: 2 }),
  expertLinearCase({ E: 4, N: 24, D: 64, K: 4 }),
  expertLinearCase({ E: 9, N: 18, D: 70, K: 3, own: true }),
  expertLinearCase({ E: 7, N: 50, D: 48, K: 2, own: true, summed: true }),
  expertLinearCase({ E: 3, N: 11, D: 13, K: 1, summed: true }),
  expertLinearCase({ E: 40, N: 19, D: 40, K: 5, summed: true }),
  expertLinearCase({ E: 6, N: 21, D: 36, K: 2, own: true, one: true }),
  expertLinearCase({ E: 3, N: 130, D: 72, K: 2, own: true, summed: true }, [1, 7, 64]),
];

/** `rows` small makes the same row come up several times for a token. */
function gatherPoolCase(sizes: { N: number; Dv: number; R: number; h: number; E: number }): OpCase {
  const { N, Dv, R, h, E } = sizes;
  const g = new GraphDraft('gather_pool');
  const operands = [
    g.weight('table', f32(N, Dv)),
    g.input('slot', i32('T', R), N * E),
    g.input('scores', f32('T', R, h)),
  ];
  const graph = g.output('y', g.node('gather_pool', operands, { groups: E })).build();
  const text = Object.entries(sizes).map(([name, value]) => `${name}=${value}`);
  return stateless('gather_pool', text.join(','), graph, {
    weights: (random) => ({ table: random.f32([N, Dv]) }),
    inputs: (random, T) => ({ slot: random.i32([T, R], N * E), scores: random.f32([T, R, h]) }),
    outputs: ({ table, slot, scores }, T) => ({
      y: f32Of([T, E, Dv], (t, p, i) =>
        sum(R, (j) => {
          const at0 = at(slot!, t, j);
          return Math.floor(at0 / N) === p ? at(table!, at0 % N, i) * at(scores!, t, j, Math.floor((i * h) / Dv)) : 0;
        }),
      ),
    }),
  });
}

const gatherPools = [
  gatherPoolCase({ N: 529, Dv: 40, R: 14, h: 2, E: 4 }),
  gatherPoolCase({ N: 3, Dv: 6, R: 12, h: 1, E: 1 }),
  gatherPoolCase({ N: 100, Dv: 160, R: 32, h: 2, E: 4 }),
  gatherPoolCase({ N: 7, Dv: 12, R: 5, h: 4, E: 9 }),
  gatherPoolCase({ N: 16, Dv: 9, R: 8, h: 3, E: 4 }),
  gatherPoolCase({ N: 50, Dv: 256, R: 100, h: 8, E: 16 }),
];

export const selectionCases: readonly OpCase[] = [
  ...topks,
  ...scoreTopks,
  ...gatherDots,
  ...expertLinears,
  ...gridTopks,
  ...rescores,
  ...sumGrids,
  ...groupSums,
  ...gatherPools,
];
