// A memory layer as the DSL's preset writes it (UltraMem §1), with random sizes and variations, some of which fuse only in part.

import type { Choice } from './arbitrary-graph.ts';
import { f32, type GraphDraft, i32, type Value } from './graph-draft.ts';

interface Side {
  readonly index: Value;
  readonly scores: Value;
}

/** Appends a retrieval that reads x [T,D]; its result [T,D']. */
export function retrieval(g: GraphDraft, x: Value, choice: Choice): Value {
  const D = x.type.shape[1] as number;
  const n = 2 + choice.number(5);
  const m = 1 + choice.number(Math.min(n, 4));
  const [H, r, h] = [1 + choice.number(3), 1 + choice.number(3), 1 + choice.number(3)];
  const root = 1 + choice.number(2);
  const [E, d, keys] = [root * root, 1 + choice.number(4), root * n];
  const Dv = h * (1 + choice.number(3));
  const perRank = choice.chance();
  const prefix = `mem${g.nodes.length}`;
  const weight = (name: string, ...shape: number[]) => g.weight(`${prefix}.${name}`, f32(...shape));

  const width = 2 * d * (perRank ? r : 1);
  const projected = g.node('einsum', [x, weight('query', width, D)], { equation: 'tk,nk->tn' });
  const halves = g.node('reshape', [projected], { shape: perRank ? ['T', 2, r, d] : ['T', 2, d] });
  const query = choice.chance()
    ? g.node('norm', [halves, weight('query_norm', d)], { type: 'rms', eps: 1e-5 })
    : halves;
  const stored = g.node('transpose', [weight('keys', H, 2, keys, d, r)], { perm: [0, 1, 2, 4, 3] });
  const normed = choice.chance()
    ? g.node('norm', [stored, weight('keys_norm', d)], { type: 'rms', eps: 1e-5 })
    : stored;
  const half = (of: Value, side: number): Value => {
    const part = g.node('slice', [of], { axis: 1, start: side, end: side + 1 });
    return g.node('reshape', [part], { shape: part.type.shape.toSpliced(1, 1) });
  };
  const cores = Array.from({ length: h }, (_, c) =>
    g.node('reshape', [weight(`core${c}`, H, r, r)], { shape: [H, 1, r, r] }),
  );
  const core = h === 1 ? cores[0]! : g.node('concat', cores, { axis: 1 });
  const total = g.node('reduce', [core], { fn: 'sum', axis: 1 });
  const merges = g.all('rank1', [total, weight('u', H, r), weight('v', H, r)], {});

  const side = (which: 0 | 1): Side => {
    const equation = perRank ? 'trd,hnrd->thnr' : 'td,hnrd->thnr';
    const ranks = g.node('einsum', [half(query, which), half(normed, which)], { equation });
    const merged = g.node('einsum', [ranks, merges[which]!], { equation: 'thnr,hr->thn' });
    const [, index] = g.all('topk', [merged], { k: m });
    return { index: index!, scores: g.node('gather', [ranks, index!], { equation: 'thnr,thm->thmr' }) };
  };
  const [row, col] = [side(0), side(1)];

  const turned = g.node('einsum', [row.scores, core], { equation: 'thar,hcrs->thcas' });
  const grids = g.node('einsum', [turned, col.scores], { equation: 'thcas,thbs->thcab' });
  const grid = g.node('reshape', [g.node('reduce', [grids], { fn: 'sum', axis: 2 })], { shape: ['T', H, m * m] });
  const [, position] = g.all('topk', [grid], { k: m });
  const integer = (value: number) => g.node('constant', [], { value, dtype: 'i32' });
  const apply = (fn: 'idiv' | 'imod' | 'mul' | 'add', a: Value, b: Value) => g.node('binary', [a, b], { fn });
  const pick = { equation: 'thm,thk->thk' };
  const rows = g.node('gather', [row.index, apply('idiv', position!, integer(m))], pick);
  const cols = g.node('gather', [col.index, apply('imod', position!, integer(m))], pick);
  const address = g.node('reshape', [apply('add', apply('mul', rows, integer(keys)), cols)], { shape: ['T', H * m] });
  const flat = g.node('reshape', [grids], { shape: ['T', H, h, m * m] });
  const ofCore = g.node('gather', [flat, position!], { equation: 'thcg,thm->thmc' });
  const scores = g.node('reshape', [ofCore], { shape: ['T', H * m, h] });

  const slots = E * n * n;
  const shuffle = choice.chance() ? g.weight(`${prefix}.shuffle`, i32(slots), { below: slots }) : undefined;
  const slot = shuffle ? g.node('gather', [shuffle, address], { equation: 'n,tr->tr' }) : address;
  const block = apply('idiv', slot, integer(n * n));
  const picked = g.node('gather', [weight('values', n * n, Dv), apply('imod', slot, integer(n * n))], {
    equation: 'nd,tr->trd',
  });
  const slices = g.node('reshape', [picked], { shape: ['T', H * m, h, Dv / h] });
  const factors = g.node('reshape', [scores], { shape: ['T', H * m, h, 1] });
  const weighted = g.node('reshape', [g.node('binary', [slices, factors], { fn: 'mul' })], { shape: ['T', H * m, Dv] });
  const pooled = g.node('group_sum', [weighted, block], { groups: E });
  const joined = g.node('reshape', [pooled], { shape: ['T', E * Dv] });
  g.tap(`${prefix}.slot`, slot).tap(`${prefix}.pooled`, joined);
  return g.node('einsum', [joined, weight('project', 1 + choice.number(5), E * Dv)], { equation: 'tk,nk->tn' });
}
