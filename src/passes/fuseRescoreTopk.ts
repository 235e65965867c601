// gather_dot of both sides, grid_topk and the address arithmetic behind it, shuffle included → rescore_topk (UltraMem §1.8-11).
// Needs gather_dot and grid_topk. A grid whose places are used in another way stays as it is.
// After it neither rank scores of selected keys nor places in the grid are stored. Right behind fuseGridTopk, on its results.

import type { Graph, Node, ValueId } from '../ir/graph.ts';
import { sameShape, sameType } from '../ir/graph.ts';
import { inferTypes, isProblem, type Match, matches } from '../ir/index.ts';
import { isProblem as isBad } from '../ir/op.ts';
import { parseGather } from '../ir/ops/gather.ts';
import { reshaped } from './arrange.ts';
import { type Here, idLike, sweep, throughReshapes } from './sweep.ts';

export const fuseRescoreTopk = (graph: Graph): Graph => sweep(graph, [rescoreTopk]);

function rescoreTopk(node: Node, here: Here): boolean {
  const grid = matches(node, 'grid_topk');
  if (!grid) return false;
  const { uses, rewriter } = here;
  const [row, col] = [dotBehind(here, node, 0), dotBehind(here, node, 1)];
  if (!row || !col) return false;
  const address = addressOf(here, grid, row, col);
  if (!address) return false;
  const shuffle = shuffleOf(here, address.value, address.keys ** 2);
  const operands = [
    ...[row.inputs[2]!, col.inputs[2]!],
    ...[row.inputs[0]!, col.inputs[0]!],
    ...[row.inputs[1]!, col.inputs[1]!],
    node.inputs[2]!,
    ...(shuffle ? [shuffle.table] : []),
  ];
  const attrs = { k: grid.attrs.k, shuffled: shuffle !== undefined };
  const types = operands.map((id) => uses.type(id));
  if (isProblem(inferTypes('rescore_topk', types, attrs))) return false;
  const [slot, scores] = rewriter.add('rescore_topk', operands, attrs, node, idLike('rescore_topk', node)) as [
    string,
    string,
  ];
  const replaced = shuffle?.value ?? address.value;
  rewriter.replaceValue(replaced, reshaped(here, slot, uses.type(replaced).shape));
  rewriter.replaceValue(node.results[1]!.id, scores);
  return true;
}

/** The gather_dot that makes operand `i` of the grid, when nobody else reads its scores. */
function dotBehind({ uses }: Here, grid: Node, i: number): Match<'gather_dot'> | undefined {
  const dot = uses.made(throughReshapes(uses, grid.inputs[i]!), 'gather_dot');
  if (!dot || !sameType(uses.type(dot.result), uses.type(grid.inputs[i]!))) return undefined;
  return readers({ uses }, dot.result).every((user) => user === grid) ? dot : undefined;
}

/** Nodes that read a value or a reshape of it; outputs count as readers that are no node of interest. */
function readers({ uses }: Pick<Here, 'uses'>, value: ValueId): (Node | undefined)[] {
  const users = uses
    .users(value)
    .flatMap((user) => (user.op === 'reshape' ? readers({ uses }, user.results[0]!.id) : [user]));
  return uses.isOutput(value) ? [...users, undefined] : users;
}

/** rowIndex[position div m]·n + colIndex[position mod m], the one thing that the position is used for. */
function addressOf(
  here: Here,
  grid: Match<'grid_topk'>,
  row: Match<'gather_dot'>,
  col: Match<'gather_dot'>,
): { value: ValueId; keys: number } | undefined {
  const { uses } = here;
  const keys = uses.type(row.inputs[1]!).shape[1] as number;
  const position = grid.result;
  const users = readers(here, position);
  const picks = (['idiv', 'imod'] as const).map((fn, side) => {
    const place = users.find((user) => user?.op === 'binary' && user.attrs.fn === fn);
    return place && chosenIndex(here, grid, place, side === 0 ? row : col);
  });
  const [rows, cols] = picks;
  if (users.length !== 2 || !rows || !cols) return undefined;
  const [product, ...others] = readers(here, rows);
  if (others.length > 0 || !product || !matches(product, 'binary', { fn: 'mul' })) return undefined;
  if (!product.inputs.some((id) => uses.constantValue(id) === keys)) return undefined;
  const [sum, ...more] = readers(here, product.results[0]!.id);
  if (more.length > 0 || !sum || !matches(sum, 'binary', { fn: 'add' })) return undefined;
  const addends = sum.inputs.map((id) => throughReshapes(uses, id));
  if (!addends.includes(product.results[0]!.id) || !addends.includes(cols) || readers(here, cols).length !== 1)
    return undefined;
  const [a, b] = sum.inputs.map((id) => uses.type(id));
  return sameType(a!, b!) ? { value: sum.results[0]!.id, keys } : undefined;
}

/** index[…, place[…,k]], where `place` is position div m or position mod m, as its one use. */
function chosenIndex(here: Here, grid: Match<'grid_topk'>, place: Node, dot: Match<'gather_dot'>): ValueId | undefined {
  const { uses } = here;
  const m = uses.type(grid.inputs[0]!).shape[2];
  if (throughReshapes(uses, place.inputs[0]!) !== grid.result || uses.constantValue(place.inputs[1]!) !== m)
    return undefined;
  const [pick, ...others] = readers(here, place.results[0]!.id);
  const gather = pick && matches(pick, 'gather');
  if (!gather || others.length > 0) return undefined;
  const equation = parseGather(gather.attrs.equation);
  if (isBad(equation)) return undefined;
  const { source, index, out, axis } = equation;
  const [from, by] = gather.inputs as [ValueId, ValueId];
  // Prefix axes are the heads' and tokens', in one order: then only the last axis is picked along, and reshapes do not matter.
  const prefixed = source.slice(0, -1) === index.slice(0, -1) && out === index && source.at(-1) === axis;
  const aligned = uses.type(from).shape.at(-1) === m && uses.type(by).shape.at(-1) === grid.attrs.k;
  const chosen = throughReshapes(uses, from) === throughReshapes(uses, dot.inputs[2]!);
  return prefixed && aligned && chosen && throughReshapes(uses, by) === place.results[0]!.id
    ? gather.result
    : undefined;
}

/** table[address], table known at load with an entry per pair of keys: the address's one use. */
function shuffleOf(here: Here, address: ValueId, entries: number): { value: ValueId; table: ValueId } | undefined {
  const { uses } = here;
  const [user, ...others] = readers(here, address);
  const gather = user && matches(user, 'gather');
  if (!gather || others.length > 0) return undefined;
  const [table, index] = gather.inputs as [ValueId, ValueId];
  const type = uses.type(table);
  if (!uses.isConstant(table) || type.dtype !== 'i32' || !sameShape(type.shape, [entries])) return undefined;
  const equation = parseGather(gather.attrs.equation);
  if (isBad(equation) || equation.out !== equation.index) return undefined;
  return throughReshapes(uses, index) === address ? { value: gather.result, table } : undefined;
}
