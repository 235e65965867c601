// topk over all sums of two sorted lists, and the address arithmetic behind it, shuffle included → sum_grid_topk (UltraMem §3).
// Needs the lists to be results of a topk or score_topk: of sorted sides few cells can be among the best, and no others are scored.
// After it neither the sums nor places in the grid are stored. After fuseScoreTopk; independent of the bilinear grid's passes.

import type { Dim, Graph, Node, ValueId } from '../ir/graph.ts';
import { inferTypes, isProblem, matches } from '../ir/index.ts';
import type { Trail } from '../ir/trail.ts';
import { addressOf, shuffleOf } from './address.ts';
import { reshaped } from './arrange.ts';
import { type Here, idLike, sweep, throughReshapes } from './sweep.ts';

export const fuseSumGridTopk = (graph: Graph, trail?: Trail): Graph => sweep(graph, [sumGridTopk], trail);

/** A side of the grid: its scores, best first, and the keys that they belong to. */
interface Side {
  readonly scores: ValueId;
  readonly index: ValueId;
}

function sumGridTopk(node: Node, here: Here): boolean {
  const topk = matches(node, 'topk');
  if (!topk) return false;
  const { uses, rewriter } = here;
  const sides = sidesOf(here, topk.inputs[0]!);
  if (!sides) return false;
  const { row, col, m, lead } = sides;
  const { k } = topk.attrs;
  const position = node.results[1]!.id;
  const address = addressOf(here, { position, m, k, rowIndex: row.index, colIndex: col.index });
  if (!address) return false;
  const { keys } = address;
  const shuffle = shuffleOf(here, address.value, keys ** 2);
  const heads = lead.slice(1).reduce<number>((n, dim) => n * (dim as number), 1);
  const shape = [lead[0]!, heads, m];
  const attrs = { k, keys, shuffled: shuffle !== undefined };
  const table = shuffle ? [shuffle.table] : [];
  const types = [
    ...['f32', 'f32', 'i32', 'i32'].map((dtype) => ({ dtype: dtype as 'f32' | 'i32', shape })),
    ...table.map((id) => uses.type(id)),
  ];
  if (isProblem(inferTypes('sum_grid_topk', types, attrs))) return false;
  const operands = [row.scores, col.scores, row.index, col.index].map((id) => reshaped(here, id, shape));
  const [slot, scores] = rewriter.add(
    'sum_grid_topk',
    [...operands, ...table],
    attrs,
    node,
    idLike('sum_grid_topk', node),
  ) as [ValueId, ValueId];
  const replaced = shuffle?.value ?? address.value;
  rewriter.replaceValue(replaced, reshaped(here, slot, uses.type(replaced).shape));
  const best = node.results[0]!;
  if (!uses.isUnused(best.id)) rewriter.replaceValue(best.id, reshaped(here, scores, best.type.shape));
  return true;
}

/** The sides whose sums [lead…,m,m] a value [lead…,m·m] lists row by row. */
function sidesOf(
  { uses }: Here,
  cells: ValueId,
): { row: Side; col: Side; m: number; lead: readonly Dim[] } | undefined {
  const sum = uses.made(throughReshapes(uses, cells), 'binary', { fn: 'add' });
  const shape = sum && uses.type(sum.result).shape;
  const m = shape?.at(-1);
  if (!sum || !shape || shape.length < 3 || typeof m !== 'number' || shape.at(-2) !== m) return undefined;
  const lead = shape.slice(0, -2);
  if (lead.slice(1).some((dim) => typeof dim === 'string')) return undefined;
  if (uses.type(cells).shape.join() !== [...lead, m * m].join()) return undefined;
  const along = (axes: readonly Dim[]): Side | undefined => {
    const operand = sum.inputs.find((id) => uses.type(id).shape.join() === [...lead, ...axes].join());
    return operand === undefined ? undefined : sortedSide({ uses }, operand, m);
  };
  const [row, col] = [along([m, 1]), along([1, m])];
  return row && col && { row, col, m, lead };
}

/** Scores that a selection of m left in order, with its indices. */
function sortedSide({ uses }: Pick<Here, 'uses'>, value: ValueId, m: number): Side | undefined {
  const scores = throughReshapes(uses, value);
  const maker = uses.producer(scores);
  if (maker === undefined || !['topk', 'score_topk'].includes(maker.op)) return undefined;
  if (maker.results[0]!.id !== scores || maker.attrs.k !== m) return undefined;
  return { scores, index: maker.results[1]!.id };
}
