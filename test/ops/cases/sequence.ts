// Cases of ops that know positions and sequences, and of the singular vectors of the cores.

import { type Tensor, tensor } from '../../../src/support/tensor.ts';
import { f32, GraphDraft, i32 } from '../../graph-draft.ts';
import type { Random } from '../../random.ts';
import { type OpCase, stateless, type Tensors } from '../case.ts';
import { at, f32Of, sum } from '../naive.ts';

function ropeCase(heads: number, hd: number, layout: 'half' | 'interleaved', theta: number): OpCase {
  const g = new GraphDraft('rope');
  const operands = [g.input('x', f32('T', heads, hd)), g.input('positions', i32('T'), 4096)];
  const graph = g.output('y', g.node('rope', operands, { layout, theta })).build();
  return stateless('rope', `${layout},H=${heads},hd=${hd},theta=${theta}`, graph, {
    inputs: (random, T) => ({ x: random.f32([T, heads, hd]), positions: random.i32([T], 4096) }),
    // A turn of the pair (x, y) by an angle, in the complex plane.
    outputs: ({ x, positions }, T) => ({
      y: f32Of([T, heads, hd], (t, h, i) => {
        const pair = layout === 'half' ? i % (hd / 2) : i >> 1;
        const second = layout === 'half' ? i >= hd / 2 : i % 2 === 1;
        const [re, im] = layout === 'half' ? [pair, pair + hd / 2] : [2 * pair, 2 * pair + 1];
        const angle = Math.fround(at(positions!, t) * Math.fround(Math.exp((Math.log(theta) * -2 * pair) / hd)));
        const [a, b] = [at(x!, t, h, re), at(x!, t, h, im)];
        return second ? a * Math.sin(angle) + b * Math.cos(angle) : a * Math.cos(angle) - b * Math.sin(angle);
      }),
    }),
    // A frequency that rounds to another f32 turns large positions by up to 4096·2^−24.
    tolerance: 1e-4,
  });
}

const ropes = [
  ropeCase(1, 2, 'half', 10000),
  ropeCase(6, 32, 'half', 10000),
  ropeCase(3, 10, 'half', 500),
  ropeCase(2, 16, 'interleaved', 10000),
];

/** Tokens of one step: which sequence, from which position, how many. Runs of one sequence stay together. */
type Run = readonly [sequence: number, from: number, tokens: number];

const prefillThenDecode: readonly (readonly Run[])[] = [
  [[0, 0, 7]],
  [[0, 7, 1]],
  [
    [2, 0, 3],
    [0, 8, 1],
    [1, 0, 12],
  ],
  [
    [1, 12, 1],
    [0, 9, 1],
    [2, 3, 1],
  ],
  [[0, 10, 18]],
];

/** A sequence that starts again at position 0 sees nothing of its former tokens. */
const restarted: readonly (readonly Run[])[] = [[[0, 0, 9]], [[0, 0, 4]], [[0, 4, 1]]];

/** Positions enough that a device splits them over blocks. */
const farAlong: readonly (readonly Run[])[] = [
  [[0, 0, 64]],
  [[0, 64, 64]],
  [[0, 128, 20]],
  [[0, 148, 1]],
  [
    [1, 0, 2],
    [0, 149, 1],
  ],
];

const places = (runs: readonly Run[]): { positions: Tensor<'i32'>; sequence: Tensor<'i32'> } => {
  const tokens = runs.flatMap(([sequence, from, count]) =>
    Array.from({ length: count }, (_, i) => [sequence, from + i] as const),
  );
  return {
    positions: tensor(
      'i32',
      [tokens.length],
      Int32Array.from(tokens, ([, position]) => position),
    ),
    sequence: tensor(
      'i32',
      [tokens.length],
      Int32Array.from(tokens, ([sequence]) => sequence),
    ),
  };
};

/** Rows seen so far, by sequence and position. */
class History {
  readonly #rows = new Map<string, { step: Tensor; token: number }>();

  add(step: Tensor, given: Tensors): void {
    for (let token = 0; token < step.shape[0]!; token++) {
      this.#rows.set(`${at(given.sequence!, token)} ${at(given.positions!, token)}`, { step, token });
    }
  }

  /** An element of the row of a sequence at a position. */
  at(sequence: number, position: number, ...index: number[]): number {
    const row = this.#rows.get(`${sequence} ${position}`)!;
    return at(row.step, row.token, ...index);
  }
}

function attentionCase(
  name: string,
  sizes: { heads: number; kept: number; hd: number; context: number },
  script: readonly (readonly Run[])[],
): OpCase {
  const { heads, kept, hd, context } = sizes;
  const scale = 1 / Math.sqrt(hd);
  const g = new GraphDraft('attention');
  const operands = [
    g.input('q', f32('T', heads, hd)),
    g.input('k', f32('T', kept, hd)),
    g.input('v', f32('T', kept, hd)),
    g.input('positions', i32('T'), context),
    g.input('sequence', i32('T'), 'S'),
    g.state('keys', f32('S', context, kept, hd)),
    g.state('values', f32('S', context, kept, hd)),
  ];
  return {
    name: `attention(${name},Hq=${heads},Hkv=${kept},hd=${hd})`,
    op: 'attention',
    graph: g.output('y', g.node('attention', operands, { scale })).build(),
    sequences: 3,
    weights: () => ({}),
    steps: (random) =>
      script.map((runs) => {
        const where = places(runs);
        const T = where.positions.shape[0]!;
        return { q: random.f32([T, heads, hd]), k: random.f32([T, kept, hd]), v: random.f32([T, kept, hd]), ...where };
      }),
    expected(_, steps) {
      const [keys, values] = [new History(), new History()];
      return steps.map((given): Tensors => {
        keys.add(given.k!, given);
        values.add(given.v!, given);
        const y = f32Of([given.q!.shape[0]!, heads, hd], (t, h, i) => {
          const [s, p] = [at(given.sequence!, t), at(given.positions!, t)];
          const group = Math.floor(h / (heads / kept));
          const power = (j: number) =>
            Math.exp(scale * sum(hd, (e) => at(given.q!, t, h, e) * keys.at(s, j, group, e)));
          return sum(p + 1, (j) => power(j) * values.at(s, j, group, i)) / sum(p + 1, power);
        });
        return { y };
      });
    },
  };
}

const attentions = [
  attentionCase('prefill, decode and a mix', { heads: 2, kept: 2, hd: 8, context: 32 }, prefillThenDecode),
  attentionCase('shared key heads', { heads: 6, kept: 2, hd: 5, context: 40 }, prefillThenDecode),
  attentionCase('far along', { heads: 4, kept: 2, hd: 4, context: 300 }, farAlong),
  attentionCase('wide heads', { heads: 2, kept: 1, hd: 136, context: 40 }, prefillThenDecode),
  attentionCase('restarted', { heads: 1, kept: 1, hd: 32, context: 16 }, restarted),
];

function convolutionCase(name: string, D: number, K: number, script: readonly (readonly Run[])[]): OpCase {
  const g = new GraphDraft('causal_conv');
  const operands = [
    g.input('x', f32('T', D)),
    g.weight('w', f32(D, K)),
    g.input('positions', i32('T'), 4096),
    g.input('sequence', i32('T'), 'S'),
    g.state('window', f32('S', K - 1, D)),
  ];
  return {
    name: `causal_conv(${name},D=${D},K=${K})`,
    op: 'causal_conv',
    graph: g.output('y', g.node('causal_conv', operands, {})).build(),
    sequences: 3,
    weights: (random) => ({ w: random.f32([D, K]) }),
    steps: (random) =>
      script.map((runs) => {
        const where = places(runs);
        return { x: random.f32([where.positions.shape[0]!, D]), ...where };
      }),
    expected({ w }, steps) {
      const seen = new History();
      return steps.map((given): Tensors => {
        seen.add(given.x!, given);
        const y = f32Of(given.x!.shape, (t, d) => {
          const [s, p] = [at(given.sequence!, t), at(given.positions!, t)];
          return sum(Math.min(K, p + 1), (j) => at(w!, d, K - 1 - j) * seen.at(s, p - j, d));
        });
        return { y };
      });
    },
  };
}

const convolutions = [
  convolutionCase('prefill, decode and a mix', 6, 4, prefillThenDecode),
  convolutionCase('prefill, decode and a mix', 33, 2, prefillThenDecode),
  convolutionCase('restarted', 8, 3, restarted),
  convolutionCase('long steps', 5, 7, [
    [[0, 0, 40]],
    [
      [0, 40, 2],
      [1, 0, 3],
    ],
    [[1, 3, 1]],
  ]),
];

/** Leading singular vectors by power iteration on CᵀC; the larger entries of a random start decide nothing. */
function leading(core: Tensor, h: number, r: number): { u: number[]; v: number[] } {
  let v = Array.from({ length: r }, (_, i) => 1 + i / 7);
  let u: number[] = [];
  for (let round = 0; round < 4000; round++) {
    u = Array.from({ length: r }, (_, i) => sum(r, (j) => at(core, h, i, j) * v[j]!));
    v = Array.from({ length: r }, (_, j) => sum(r, (i) => at(core, h, i, j) * u[i]!));
    const length = Math.hypot(...v);
    v = v.map((x) => x / length);
  }
  const sign = Math.sign(u.reduce((a, b) => a + b)) || 1;
  return { u: u.map((x) => (sign * x) / Math.hypot(...u)), v: v.map((x) => sign * x) };
}

/** Heads in `stored` have non-zero vectors in the checkpoint. */
function rank1Case(r: number, heads: number, stored: readonly number[], positive: boolean): OpCase {
  const g = new GraphDraft('rank1');
  const operands = [g.weight('core', f32(heads, r, r)), g.weight('u0', f32(heads, r)), g.weight('v0', f32(heads, r))];
  const x = g.input('x', f32('T', heads, r));
  const [u, v] = g.all('rank1', operands, {});
  const times = (by: typeof x) => g.node('binary', [x, by], { fn: 'mul' });
  const graph = g.output('xu', times(u!)).output('xv', times(v!)).build();
  const name = `r=${r},H=${heads},stored=[${stored.join(',')}]${positive ? '' : ',signed'}`;
  return stateless('rank1', name, graph, {
    weights: (random: Random) => {
      const vectors = () => f32Of([heads, r], (h) => (stored.includes(h) ? random.normal() : 0));
      const entry = () => (positive ? random.uniform() : random.normal());
      return { core: random.f32([heads, r, r], entry), u0: vectors(), v0: vectors() };
    },
    inputs: (random, T) => ({ x: random.f32([T, heads, r]) }),
    outputs: ({ core, u0, v0, x }, T) => {
      const pairs = Array.from({ length: heads }, (_, h) => leading(core!, h, r));
      const of = (given: Tensor, side: 'u' | 'v') =>
        f32Of(
          [T, heads, r],
          (t, h, i) => at(x!, t, h, i) * (stored.includes(h) ? at(given, h, i) : pairs[h]![side][i]!),
        );
      return { xu: of(u0!, 'u'), xv: of(v0!, 'v') };
    },
    tolerance: 1e-5,
    counts: [3],
  });
}

const singularVectors = [
  rank1Case(1, 2, [], true),
  rank1Case(2, 2, [], true),
  rank1Case(3, 4, [], false),
  rank1Case(2, 3, [0, 2], true),
];

export const sequenceCases: readonly OpCase[] = [...ropes, ...attentions, ...convolutions, ...singularVectors];
