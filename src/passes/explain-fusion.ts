// What fusion did to a graph, and what it left and why: the notes of `inspect`.

import { callsOf, parseExpression } from '../ir/expression.ts';
import type { Graph, Loc, Node, Type, ValueId } from '../ir/graph.ts';
import { typeText } from '../ir/graph.ts';
import { matches, Uses } from '../ir/index.ts';
import { throughReshapes } from './sweep.ts';

/** One thing to know about a compiled graph. `loc` is the model's line it came from. */
export interface Note {
  /** `fused`: a kernel took several ops. `left`: something like retrieval that stayed as it was, with the reason. */
  readonly kind: 'summary' | 'fused' | 'left';
  readonly text: string;
  /** First result of the node it is about; undefined for a summary. */
  readonly node: ValueId | undefined;
  readonly loc: Loc | undefined;
}

/** Notes on what the passes made of `before`: a summary, what was fused, then what was not. */
export function explainFusion(before: Graph, after: Graph): Note[] {
  const uses = new Uses(after);
  const steps = after.nodes.filter((node) => node.stage === 'step');
  const noted = (kind: Note['kind'], reason: (node: Node, uses: Uses) => string | undefined): Note[] =>
    steps.flatMap((node) => {
      const text = reason(node, uses);
      const { id } = node.results[0]!;
      return text === undefined ? [] : [{ kind, text: `${node.op} %${id}: ${text}`, node: id, loc: node.loc }];
    });
  return [...summary(before, after), ...noted('fused', fusedText), ...noted('left', leftText)];
}

function summary(before: Graph, after: Graph): Note[] {
  const steps = after.nodes.filter((node) => node.stage === 'step');
  const note = (text: string): Note => ({ kind: 'summary', text, node: undefined, loc: undefined });
  return [
    note(
      `${before.nodes.length} nodes became ${steps.length} per step and ${after.nodes.length - steps.length} at load`,
    ),
    note(`the largest value has ${widest(before.nodes)} elements per token before, ${widest(steps)} after`),
  ];
}

/** Elements per token of the largest value that has a T. */
const widest = (nodes: readonly Node[]): number =>
  nodes
    .flatMap((node) => node.results)
    .filter(({ type }) => type.shape.some((dim) => typeof dim === 'string'))
    .reduce(
      (most, { type }) =>
        Math.max(
          most,
          type.shape.reduce<number>((n, d) => (typeof d === 'number' ? n * d : n), 1),
        ),
      0,
    );

/** Which ops a fused node stands for, and which values it spares. */
function fusedText(node: Node, uses: Uses): string | undefined {
  const shape = (i: number): Type['shape'] => uses.type(node.inputs[i]!).shape;
  const spared = (...dims: Type['shape']): string => `${typeText({ dtype: 'f32', shape: dims })} is never stored`;
  const [T, H, k] = node.results[0]!.type.shape as [string, number, number];
  switch (node.op) {
    case 'score_topk':
      return `scores of ${shape(1)[1]} keys and their ${k} best in one kernel (einsum, topk); ${spared(T, H, shape(1)[1]!)}`;
    case 'gather_dot':
      return `scores of chosen keys where the keys lie (gather, einsum); ${spared(T, ...shape(2).slice(1), ...shape(1).slice(2))}`;
    case 'expert_linear': {
      const [E, N, D] = shape(1) as [number, number, number];
      const K = shape(2)[1]!;
      const sum = node.inputs.length === 4 ? ', weighted and summed' : '';
      return `${K} of ${E} experts per token, each read once for all tokens that chose it${sum} (gather, einsum); ${spared(T, K, N, D)}`;
    }
    case 'grid_topk':
      return `grid, sum of cores and ${k} best cells in one kernel (einsum, reduce, topk, gather); ${spared(T, H, shape(2)[1]!, shape(0)[2]!, shape(0)[2]!)}`;
    case 'rescore_topk': {
      const [m, h] = [shape(0)[2]!, shape(6)[1]!];
      const shuffle = node.attrs.shuffled === true ? ', shuffle' : '';
      return `scores of chosen keys, grid, ${k} best cells, addresses${shuffle} in one kernel (gather, einsum, reduce, topk, div, mod); ${spared(T, H, h, m, m)}`;
    }
    case 'sum_grid_topk':
      return `sums of two sorted lists, ${k} best cells, addresses${node.attrs.shuffled === true ? ', shuffle' : ''} in one kernel (add, topk, div, mod, gather); ${spared(T, H, shape(0)[2]!, shape(0)[2]!)}`;
    case 'gather_pool':
      return `rows of the table weighted and summed where they lie (gather, mul, group_sum); ${spared(T, shape(1)[1]!, shape(0)[1]!)}`;
    case 'add_norm':
      return 'sum and norm in one pass (add, norm)';
    case 'elementwise':
      return `${callsOf(parseExpression(String(node.attrs.expr))!)} functions in one pass: ${String(node.attrs.expr)}`;
    case 'einsum': {
      const weights = uses.made(node.inputs[1], 'concat');
      return weights &&
        uses.isConstant(weights.result) &&
        uses.users(node.results[0]!.id).every(({ op }) => op === 'slice')
        ? `${weights.inputs.length} linears of %${node.inputs[0]} as one product`
        : undefined;
    }
    default:
      return undefined;
  }
}

/** Why a node that looks like a part of a retrieval is still there. */
function leftText(node: Node, uses: Uses): string | undefined {
  switch (node.op) {
    case 'topk':
      return topkText(node, uses);
    case 'grid_topk':
      return gridText(node, uses);
    case 'group_sum':
      return `not a gather_pool: its rows are no weighted gather from a table known at load, but come from ${madeBy(uses, node.inputs[0]!)}`;
    case 'gather':
      return gatherText(node, uses);
    case 'norm':
      return uses.made(node.inputs[0], 'binary', { fn: 'add' }) && node.inputs.length === 3
        ? 'not an add_norm: it has a bias, which that kernel lacks'
        : undefined;
    default:
      return undefined;
  }
}

function topkText(node: Node, uses: Uses): string {
  const source = throughViews(uses, node.inputs[0]!);
  const maker = uses.producer(source);
  const start = 'neither a score_topk nor a grid_topk:';
  if (maker === undefined) return `${start} it reads ${named(uses, source)}, which is no product`;
  if (maker.op === 'softmax' || maker.op === 'norm') {
    return `${start} ${maker.op} stands between the scores and topk, and wants all of them; topk of the scores themselves would fuse`;
  }
  if (maker.op === 'unary' || maker.op === 'elementwise') {
    const fn = String(maker.attrs.fn ?? maker.attrs.expr);
    return `${start} ${fn} stands between the scores and topk, so all scores have to be stored`;
  }
  if (maker.op === 'binary')
    return `${start} its input is ${String(maker.attrs.fn)} of two values, not one product of a query and keys`;
  if (maker.op !== 'einsum' && maker.op !== 'reduce') return `${start} its input comes from ${maker.op}`;
  const operands = maker.inputs.map((id) => throughViews(uses, id));
  const blocking = operands
    .map((id) => uses.producer(id))
    .find((by) => by && ['unary', 'elementwise', 'softmax'].includes(by.op));
  if (blocking)
    return `${start} ${String(blocking.attrs.fn ?? blocking.attrs.expr ?? blocking.op)} stands between the scores and their merge, which then cannot be folded into the keys`;
  if (operands.every((id) => !uses.isConstant(id))) {
    return `${start} its input is not a contraction of a query with weight-only keys: ${operands.map((id) => named(uses, id)).join(' and ')} both depend on the step's input`;
  }
  return `${start} the axes of %${source} = ${String(maker.attrs.equation ?? maker.op)} are not those of a query with keys: tokens first, keys last, heads in the query whole or not at all`;
}

function gridText(node: Node, uses: Uses): string {
  const start = 'not a rescore_topk:';
  for (const [side, id] of [
    ['row', node.inputs[0]!],
    ['column', node.inputs[1]!],
  ] as const) {
    const maker = uses.producer(throughReshapes(uses, id));
    if (maker?.op !== 'gather_dot')
      return `${start} its ${side} scores are not rank scores of chosen keys, but come from ${madeBy(uses, id)}`;
    if (uses.users(maker.results[0]!.id).length > 1) return `${start} its ${side} scores are read elsewhere as well`;
  }
  return `${start} its places are not used as rowIndex[place div m]·n + colIndex[place mod m] and nothing else`;
}

/** Gathers of many rows per token that are stored. Embeddings (one row per token) are as they should be. */
function gatherText(node: Node, uses: Uses): string | undefined {
  const gather = matches(node, 'gather')!;
  const [table, index] = gather.inputs as [ValueId, ValueId];
  const type = node.results[0]!.type;
  if (!uses.isConstant(table) || uses.type(table).shape.length < 2 || uses.type(index).shape.length < 2)
    return undefined;
  const readers = uses.users(node.results[0]!.id).map(({ op, attrs }) => String(attrs.fn ?? op));
  return `not fused: rows of ${named(uses, table)} are copied to ${typeText(type)}, because ${readers.join(' and ') || 'an output'} reads them and no weighted sum over rows or product with a query does`;
}

/** What a value is a view of. */
function throughViews(uses: Uses, value: ValueId): ValueId {
  const maker = uses.producer(value);
  return maker && ['reshape', 'transpose'].includes(maker.op) ? throughViews(uses, maker.inputs[0]!) : value;
}

function madeBy(uses: Uses, value: ValueId): string {
  const source = throughViews(uses, value);
  const maker = uses.producer(source);
  return maker ? `${String(maker.attrs.fn ?? maker.op)} (%${source})` : named(uses, source);
}

function named(uses: Uses, value: ValueId): string {
  const leaf = uses.leaf(value);
  if (leaf?.kind === 'weight') return `weight "${leaf.name}"`;
  return leaf ? `${leaf.kind} ${leaf.id}` : `%${value}`;
}
