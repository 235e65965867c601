// The address arithmetic behind stage 2, found by its form: rowIndex[place div m]·n + colIndex[place mod m], and a table of slots.

import type { Node, ValueId } from '../ir/graph.ts';
import { sameShape, sameType } from '../ir/graph.ts';
import { matches } from '../ir/index.ts';
import { isProblem } from '../ir/op.ts';
import { parseGather } from '../ir/ops/gather.ts';
import { type Here, throughReshapes } from './sweep.ts';

/** Places in a grid of m × m cells, k of them per token and head, and the indices that its sides were chosen by. */
export interface Places {
  readonly position: ValueId;
  readonly m: number;
  readonly k: number;
  readonly rowIndex: ValueId;
  readonly colIndex: ValueId;
}

/** Nodes that read a value or a reshape of it; outputs count as readers that are no node of interest. */
export function readers({ uses }: Pick<Here, 'uses'>, value: ValueId): (Node | undefined)[] {
  const users = uses
    .users(value)
    .flatMap((user) => (user.op === 'reshape' ? readers({ uses }, user.results[0]!.id) : [user]));
  return uses.isOutput(value) ? [...users, undefined] : users;
}

/** rowIndex[position div m]·keys + colIndex[position mod m], where that is the one thing that the position is used for. */
export function addressOf(here: Here, places: Places): { value: ValueId; keys: number } | undefined {
  const { uses } = here;
  const users = readers(here, places.position);
  const picks = (['idiv', 'imod'] as const).map((fn) => {
    const place = users.find((user) => user?.op === 'binary' && user.attrs.fn === fn);
    return place && chosenIndex(here, places, place, fn === 'idiv' ? places.rowIndex : places.colIndex);
  });
  const [rows, cols] = picks;
  if (users.length !== 2 || !rows || !cols) return undefined;
  const [product, ...others] = readers(here, rows);
  if (others.length > 0 || !product || !matches(product, 'binary', { fn: 'mul' })) return undefined;
  const keys = product.inputs.map((id) => uses.constantValue(id)).find((value) => value !== undefined);
  if (keys === undefined) return undefined;
  const [sum, ...more] = readers(here, product.results[0]!.id);
  if (more.length > 0 || !sum || !matches(sum, 'binary', { fn: 'add' })) return undefined;
  const addends = sum.inputs.map((id) => throughReshapes(uses, id));
  if (!addends.includes(product.results[0]!.id) || !addends.includes(cols) || readers(here, cols).length !== 1)
    return undefined;
  const [a, b] = sum.inputs.map((id) => uses.type(id));
  return sameType(a!, b!) ? { value: sum.results[0]!.id, keys } : undefined;
}

/** index[…, place[…,k]], where `place` is position div m or position mod m, as its one use. */
function chosenIndex(here: Here, { position, m, k }: Places, place: Node, index: ValueId): ValueId | undefined {
  const { uses } = here;
  if (throughReshapes(uses, place.inputs[0]!) !== position || uses.constantValue(place.inputs[1]!) !== m)
    return undefined;
  const [pick, ...others] = readers(here, place.results[0]!.id);
  const gather = pick && matches(pick, 'gather');
  if (!gather || others.length > 0) return undefined;
  const equation = parseGather(gather.attrs.equation);
  if (isProblem(equation)) return undefined;
  const { source, index: by, out, axis } = equation;
  const [from, picks] = gather.inputs as [ValueId, ValueId];
  // Prefix axes are the heads' and tokens', in one order: then only the last axis is picked along, and reshapes do not matter.
  const prefixed = source.slice(0, -1) === by.slice(0, -1) && out === by && source.at(-1) === axis;
  const aligned = uses.type(from).shape.at(-1) === m && uses.type(picks).shape.at(-1) === k;
  const chosen = throughReshapes(uses, from) === throughReshapes(uses, index);
  return prefixed && aligned && chosen && throughReshapes(uses, picks) === place.results[0]!.id
    ? gather.result
    : undefined;
}

/** table[address], table known at load with an entry per pair of keys: the address's one use. */
export function shuffleOf(
  here: Here,
  address: ValueId,
  entries: number,
): { value: ValueId; table: ValueId } | undefined {
  const { uses } = here;
  const [user, ...others] = readers(here, address);
  const gather = user && matches(user, 'gather');
  if (!gather || others.length > 0) return undefined;
  const [table, index] = gather.inputs as [ValueId, ValueId];
  const type = uses.type(table);
  if (!uses.isConstant(table) || type.dtype !== 'i32' || !sameShape(type.shape, [entries])) return undefined;
  const equation = parseGather(gather.attrs.equation);
  if (isProblem(equation) || equation.out !== equation.index) return undefined;
  return throughReshapes(uses, index) === address ? { value: gather.result, table } : undefined;
}
