// The grid of stage 2 as a product: finding it behind a topk, and finding the cores' own scores that are gathered from it.

import type { Node, ValueId } from '../ir/graph.ts';
import type { Uses } from '../ir/index.ts';
import { canArrange } from './arrange.ts';
import {
  type Atom,
  type Axes,
  atomsOf,
  dimOf,
  findProduct,
  has,
  type Product,
  sameOrder,
  spanOf,
  type ValueFactor,
  within,
  without,
} from './product.ts';
import { throughReshapes } from './sweep.ts';

/** A grid's factors, and the axes in which grid_topk wants them. */
export interface Grid {
  readonly row: ValueFactor;
  readonly col: ValueFactor;
  readonly core: ValueFactor;
  readonly token: Atom;
  readonly heads: readonly Atom[];
  readonly rowAxes: Axes;
  readonly colAxes: Axes;
  readonly coreAxes: Axes;
}

/**
 * The grids that add up to a value whose last axes have `cells` elements: one, or where a model adds up its cores' grids one by one,
 * several of the same rows and columns.
 */
export function gridsOf(uses: Uses, value: ValueId, cells: number): Grid[] | undefined {
  const grids = termsOf(uses, value).map((term) =>
    findProduct(uses, term, (product) => gridOf(product, cells, (id) => uses.isConstant(id))),
  );
  const [first] = grids;
  const alike = grids.every(
    (grid) =>
      grid !== undefined &&
      first !== undefined &&
      grid.row.value === first.row.value &&
      grid.col.value === first.col.value &&
      sameLayout(grid.row.axes, grid.rowAxes, first.row.axes, first.rowAxes) &&
      sameLayout(grid.col.axes, grid.colAxes, first.col.axes, first.colAxes),
  );
  return alike ? (grids as Grid[]) : undefined;
}

/** Addends of a value, in order. */
function termsOf(uses: Uses, value: ValueId): ValueId[] {
  const source = throughReshapes(uses, value);
  const sum = uses.made(source, 'binary', { fn: 'add' });
  const shapes = sum?.inputs.map((id) => uses.type(id).shape.join()) ?? [];
  if (!sum || shapes.some((shape) => shape !== uses.type(source).shape.join())) return [value];
  return sum.inputs.flatMap((id) => termsOf(uses, id));
}

/** Scores [t,…heads,(a,b)] as Σ row[t,h,a,r]·core[h,c,r,s]·col[t,h,b,s]. */
function gridOf({ factors, out }: Product, cells: number, isConstant: (id: string) => boolean): Grid | undefined {
  const values = factors.filter((factor) => factor.kind === 'value');
  const cores = values.filter(({ value }) => isConstant(value));
  const steps = values.filter(({ value }) => !isConstant(value));
  const [core] = cores;
  if (factors.length !== 3 || core === undefined || steps.length !== 2) return undefined;
  const all = out.flat();
  const cell = all.slice(all.findLastIndex((_, i) => spanOf(all.slice(i)) >= cells));
  const [token, ...heads] = without(all, cell);
  if (token === undefined || cell.length === 0 || spanOf(cell) !== cells) return undefined;
  // The cell's outer atoms are the row's, its inner ones the column's.
  const row = steps.find((factor) => has(atomsOf(factor), cell[0]!));
  const col = steps.find((factor) => factor !== row);
  if (row === undefined || col === undefined) return undefined;
  const [ofRow, ofCol, ofCore] = [row.axes.flat(), col.axes.flat(), core.axes.flat()];
  const [a, b] = [within(cell, ofRow), within(cell, ofCol)];
  if (!sameOrder([...a, ...b], cell) || within(cell, ofCore).length > 0) return undefined;
  const lead = [token, ...heads];
  if (within(lead, ofRow).length < lead.length || within(lead, ofCol).length < lead.length) return undefined;
  const headsOfCore = within(heads, ofCore);
  if (has(ofCore, token) || (headsOfCore.length > 0 && headsOfCore.length < heads.length)) return undefined;
  const r = without(ofRow, [...lead, ...a]);
  const s = without(ofCol, [...lead, ...b]);
  // Each rank axis meets the core and nothing else; what is left of the core is its number.
  if (within(r, ofCore).length < r.length || within(s, ofCore).length < s.length || within(r, s).length > 0)
    return undefined;
  const c = without(ofCore, [...heads, ...r, ...s]);
  const rowAxes = [[token], heads, a, r];
  const colAxes = [[token], heads, b, s];
  const coreAxes = [headsOfCore, c, r, s];
  if (dimOf(a) !== dimOf(b) || dimOf(r) !== dimOf(s)) return undefined;
  if (!canArrange(row.axes, rowAxes) || !canArrange(col.axes, colAxes) || !canArrange(core.axes, coreAxes))
    return undefined;
  return { row, col, core, token, heads, rowAxes, colAxes, coreAxes };
}

/** Gathers whose index is the grid's position, maybe reshaped. */
export function coreGathers(uses: Uses, position: ValueId): Node[] {
  return uses.users(position).flatMap((user) => {
    if (user.op === 'reshape') return coreGathers(uses, user.results[0]!.id);
    return user.op === 'gather' && user.inputs[1] === position ? [user] : [];
  });
}

/** How scores [t,h,k,c] of a grid become a gather's result, when that gathers each core's cells at the chosen places. */
export function coreScoreAxes(
  uses: Uses,
  gather: Node,
  grid: Grid,
  position: ValueId,
  k: number,
): { from: Axes; to: Axes } | undefined {
  return findProduct(uses, gather.results[0]!.id, ({ factors, out }) => {
    const pick = factors.find((factor) => factor.kind === 'pick');
    if (factors.length !== 4 || pick === undefined) return undefined;
    const index = throughReshapes(uses, pick.value);
    const same = factors.find((factor) => factor.kind === 'value' && uses.isConstant(factor.value));
    const row = factors.find(
      (factor) => factor.kind === 'value' && factor.value === grid.row.value && has(atomsOf(factor), pick.picked[0]!),
    );
    const col = factors.find((factor) => factor !== row && factor.value === grid.col.value);
    if (index !== position || same?.value !== grid.core.value || !row || !col) return undefined;
    const lead = pick.axes.flat();
    const chosen = k === 1 ? [] : lead.slice(-1);
    const [token, ...heads] = without(lead, chosen);
    const ofCore = atomsOf(same);
    const [r, s] = [row, col].map((factor) => without(atomsOf(factor), [...lead, ...pick.picked]));
    const c = without(ofCore, [...lead, ...r!, ...s!]);
    if (token === undefined || dimOf(chosen) !== k || without(c, out.flat()).length > 0) return undefined;
    // The same grid: atoms stand at the same places of the same values.
    const picks = [...within(pick.picked, atomsOf(row)), ...within(pick.picked, atomsOf(col))];
    if (!sameOrder(picks, pick.picked) || spanOf(heads) !== spanOf(grid.heads)) return undefined;
    if (!sameLayout(row.axes, [[token], heads, within(pick.picked, atomsOf(row)), r!], grid.row.axes, grid.rowAxes))
      return undefined;
    if (!sameLayout(col.axes, [[token], heads, within(pick.picked, atomsOf(col)), s!], grid.col.axes, grid.colAxes))
      return undefined;
    if (!sameLayout(same.axes, [within(heads, ofCore), c, r!, s!], grid.core.axes, grid.coreAxes)) return undefined;
    const from = [[token], heads, chosen, c];
    return canArrange(from, out) ? { from, to: out } : undefined;
  });
}

/** Whether two ways to arrange one value are the same way, whatever their atoms are called. */
function sameLayout(axes: Axes, wanted: Axes, otherAxes: Axes, otherWanted: Axes): boolean {
  const order = (own: Axes, roles: Axes): string =>
    JSON.stringify([
      own.map((axis) => axis.map((atom) => roles.findIndex((role) => has(role, atom)))),
      roles.map((role) => role.map((atom) => own.flat().findIndex(({ id }) => id === atom.id))),
    ]);
  return order(axes, wanted) === order(otherAxes, otherWanted);
}
