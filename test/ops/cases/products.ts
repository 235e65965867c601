// Cases of einsum and gather: equations over labels.

import type { Tensor } from '../../../src/support/tensor.ts';
import { f32, GraphDraft } from '../../graph-draft.ts';
import type { Random } from '../../random.ts';
import { type OpCase, stateless } from '../case.ts';
import { at, fill, sum } from '../naive.ts';

type Sizes = Record<string, number>;

const shapeOf = (labels: string, sizes: Sizes) => [...labels].map((l) => (l === 't' ? 'T' : sizes[l]!));
const sized = (labels: string, sizes: Sizes, T: number) => [...labels].map((l) => (l === 't' ? T : sizes[l]!));

/** Operands with the label t are inputs, others weights. */
function einsumCase(equation: string, sizes: Sizes, counts?: readonly number[]): OpCase {
  const [a, b, out] = equation.split(/,|->/) as [string, string, string];
  const g = new GraphDraft('einsum');
  const operand = (id: string, labels: string) =>
    labels.includes('t') ? g.input(id, f32(...shapeOf(labels, sizes))) : g.weight(id, f32(...shapeOf(labels, sizes)));
  const graph = g.output('y', g.node('einsum', [operand('a', a), operand('b', b)], { equation })).build();
  const data = (random: Random, T: number, inputs: boolean) =>
    Object.fromEntries(
      [['a', a] as const, ['b', b] as const]
        .filter(([, labels]) => labels.includes('t') === inputs)
        .map(([id, labels]) => [id, random.f32(sized(labels, sizes, T))]),
    );
  const sizeText = Object.entries(sizes).map(([label, size]) => `${label}=${size}`);
  return stateless('einsum', [equation, ...sizeText].join(','), graph, {
    ...(counts ? { counts } : {}),
    weights: (random) => data(random, 0, false),
    inputs: (random, T) => data(random, T, true),
    outputs: (given, T) => {
      const all: Sizes = { ...sizes, t: T };
      const rest = [...new Set(a + b)].filter((label) => !out.includes(label));
      return {
        y: fill('f32', sized(out, sizes, T), (...index) => {
          const place: Sizes = Object.fromEntries([...out].map((label, i) => [label, index[i]!]));
          const element = (x: Tensor, labels: string) => at(x, ...[...labels].map((label) => place[label]!));
          const total = (open: readonly string[]): number => {
            const [label, ...others] = open;
            if (label === undefined) return element(given.a!, a) * element(given.b!, b);
            return sum(all[label]!, (i) => {
              place[label] = i;
              return total(others);
            });
          };
          return total(rest);
        }),
      };
    },
  });
}

const einsums = [
  ...[
    { k: 1, n: 1 },
    { k: 5, n: 7 },
    { k: 48, n: 64 },
    { k: 33, n: 65 },
    { k: 64, n: 130 },
  ].map((sizes) => einsumCase('tk,nk->tn', sizes)),
  einsumCase('tk,nk->tn', { k: 40, n: 257 }, [1, 7, 64]),
  einsumCase('tk,nk->tn', { k: 520, n: 36 }, [1, 11, 64]),
  einsumCase('tk,kn->tn', { k: 13, n: 21 }),
  einsumCase('tk,hnk->thn', { k: 12, h: 2, n: 23 }),
  einsumCase('thk,hnk->thn', { k: 12, h: 3, n: 10 }),
  einsumCase('trd,hndr->thnr', { r: 2, d: 6, h: 2, n: 9 }),
  einsumCase('td,hndr->thnr', { d: 8, h: 2, n: 11, r: 3 }),
  einsumCase('thnr,hr->thn', { h: 2, n: 9, r: 2 }),
  einsumCase('thar,hcrs->thacs', { h: 2, a: 5, r: 2, c: 3, s: 2 }),
  einsumCase('thacs,thbs->thcab', { h: 1, a: 4, c: 2, s: 3, b: 4 }),
  einsumCase('td,td->t', { d: 31 }),
  einsumCase('td,td->td', { d: 6 }),
  einsumCase('ta,tb->tab', { a: 3, b: 5 }),
  einsumCase('tpd,pdo->to', { p: 4, d: 10, o: 18 }),
  einsumCase('tk,n->t', { k: 4, n: 3 }),
  einsumCase('ta,bc->tb', { a: 3, b: 4, c: 5 }),
];

/** The source is an input when it has the label t; the index always does. */
function gatherCase(equation: string, sizes: Sizes, index: 'i32' | 'i64' = 'i32'): OpCase {
  const [source, by, out] = equation.split(/,|->/) as [string, string, string];
  const axis = [...source].find((label) => !out.includes(label))!;
  const g = new GraphDraft('gather');
  const live = source.includes('t');
  const sourceType = f32(...shapeOf(source, sizes));
  const operands = [
    live ? g.input('source', sourceType) : g.weight('source', sourceType),
    g.input('index', { dtype: index, shape: shapeOf(by, sizes) }, sizes[axis]!),
  ];
  const graph = g.output('y', g.node('gather', operands, { equation })).build();
  const sizeText = Object.entries(sizes).map(([label, size]) => `${label}=${size}`);
  return stateless('gather', [equation, ...sizeText, index].join(','), graph, {
    weights: (random) => (live ? {} : { source: random.f32(sized(source, sizes, 0)) }),
    inputs: (random, T) => ({
      ...(live ? { source: random.f32(sized(source, sizes, T)) } : {}),
      index: random[index](sized(by, sizes, T), sizes[axis]!),
    }),
    outputs: (given, T) => ({
      y: fill('f32', sized(out, sizes, T), (...place) => {
        const of = (label: string) => place[out.indexOf(label)]!;
        const pick = at(given.index!, ...[...by].map(of));
        return at(given.source!, ...[...source].map((label) => (label === axis ? pick : of(label))));
      }),
    }),
    tolerance: 0,
  });
}

const gathers = [
  gatherCase('nd,t->td', { n: 17, d: 9 }),
  gatherCase('nd,t->td', { n: 257, d: 32 }),
  gatherCase('nd,tr->trd', { n: 40, d: 6, r: 5 }),
  gatherCase('n,tr->tr', { n: 64, r: 7 }),
  gatherCase('n,tr->tr', { n: 12, r: 3 }, 'i64'),
  gatherCase('thnr,thm->thmr', { h: 2, n: 13, r: 3, m: 4 }),
  gatherCase('hndr,thm->thmdr', { h: 2, n: 11, d: 5, r: 2, m: 3 }),
  gatherCase('hnrd,thm->thmrd', { h: 3, n: 7, d: 4, r: 1, m: 6 }),
  gatherCase('thn,thm->thm', { h: 2, n: 9, m: 9 }),
  gatherCase('thcg,thk->thkc', { h: 2, c: 3, g: 16, k: 5 }),
];

export const productCases: readonly OpCase[] = [...einsums, ...gathers];
