// Rows gathered from a table known at load, weighted, and summed by group or altogether → gather_pool (UltraMem §1.12-13).
// Needs pooling before projection (poolThenProject). Weights may have passed through anything: softmax, an activation, a factor.
// After it no [T,R,Dv] value is left. Outermost sums first, so that a sum of all groups becomes one group.

import type { Graph, Node, ValueId } from '../ir/graph.ts';
import { inferTypes, isProblem } from '../ir/index.ts';
import type { Trail } from '../ir/trail.ts';
import { arrange, canArrange, reshaped, scaled, shapeOfAxes } from './arrange.ts';
import {
  type Axes,
  findProduct,
  has,
  type PickFactor,
  type Product,
  sameOrder,
  spanOf,
  type ValueFactor,
  within,
  without,
} from './product.ts';
import { type Here, idLike, sweep, throughReshapes } from './sweep.ts';

export const fuseGatherPool = (graph: Graph, trail?: Trail): Graph => sweep(graph, [gatherPool], trail, 'outputs');

interface Pool {
  readonly table: ValueFactor;
  readonly rows: PickFactor;
  readonly group: PickFactor | undefined;
  readonly weights: readonly ValueFactor[];
  readonly tableAxes: Axes;
  readonly slotAxes: Axes;
  readonly weightAxes: Axes;
  readonly resultAxes: Axes;
  readonly out: Axes;
}

function gatherPool(node: Node, here: Here): boolean {
  if (!['group_sum', 'reduce', 'einsum'].includes(node.op)) return false;
  const { uses, rewriter } = here;
  const result = node.results[0]!;
  if (uses.isConstant(result.id)) return false;
  const pool = findProduct(uses, result.id, (product) => poolOf(product, here));
  if (!pool) return false;
  const groups = pool.group ? spanOf(pool.group.picked) : 1;
  const table = arrange(here, pool.table.value, pool.table.axes, pool.tableAxes);
  const slot = slotOf(here, pool, spanOf(pool.tableAxes[0]!));
  const weights = scaled(here, pool.weights, pool.weightAxes);
  const pooled = rewriter.addOne('gather_pool', [table, slot, weights], { groups }, node, idLike('gather_pool', node));
  rewriter.replaceNode(node, [arrange(here, pooled, pool.resultAxes, pool.out)]);
  return true;
}

/** Σ over r of table[row[t,r],(c,w)]·weights[t,r,c], by group[t,r] where there is one. */
function poolOf({ factors, out }: Product, { uses }: Here): Pool | undefined {
  const values = factors.filter((factor) => factor.kind === 'value');
  const picks = factors.filter((factor) => factor.kind === 'pick');
  const all = out.flat();
  const rows = picks.find((pick) => without(pick.picked, all).length === pick.picked.length);
  const [group, ...others] = picks.filter((pick) => pick !== rows);
  if (rows === undefined || rows.picked.length === 0 || others.length > 0) return undefined;
  const table = values.find(({ value, axes }) => uses.isConstant(value) && has(axes.flat(), rows.picked[0]!));
  if (table === undefined) return undefined;
  const weights = values.filter((factor) => factor !== table);
  const [ofTable, ofRows] = [table.axes.flat(), rows.axes.flat()];
  const tokens = within(ofRows, all);
  const r = without(ofRows, tokens);
  const v = without(ofTable, rows.picked);
  if (tokens.length !== 1 || r.length === 0 || weights.length === 0 || within(ofTable, ofRows).length > 0)
    return undefined;
  if (group && (!sameOrder(group.axes.flat(), ofRows) || within(group.picked, all).length < group.picked.length))
    return undefined;
  if (within(v, all).length < v.length) return undefined;
  // The scores' slice axis is the outer part of the value width.
  const c = within(
    v,
    weights.flatMap(({ axes }) => axes.flat()),
  );
  if (!sameOrder(c, v.slice(0, c.length))) return undefined;
  const weightAxes = [tokens, r, c];
  const spans = weights.map(({ axes }) => axes.flat());
  const inside = spans.every((atoms) => without(atoms, weightAxes.flat()).length === 0);
  // Each weight has an axis whole or not at all, and one has them all, so that products broadcast.
  const broadcasts = weightAxes.every((axis) =>
    spans.every((atoms) => [0, axis.length].includes(within(axis, atoms).length)),
  );
  if (
    !inside ||
    !broadcasts ||
    !weightAxes.every((axis) => spans.some((atoms) => within(axis, atoms).length === axis.length))
  )
    return undefined;
  const groups = group?.picked ?? [];
  const tableAxes = [rows.picked, v];
  const slotAxes = [tokens, r];
  const resultAxes = [tokens, groups, v];
  if (!canArrange(table.axes, tableAxes) || !canArrange(rows.axes, slotAxes) || !canArrange(resultAxes, out))
    return undefined;
  const types = [tableAxes, weightAxes].map((axes) => ({ dtype: 'f32' as const, shape: shapeOfAxes(axes)! }));
  const slot = { dtype: uses.type(rows.value).dtype, shape: shapeOfAxes(slotAxes)! };
  if (isProblem(inferTypes('gather_pool', [types[0]!, slot, types[1]!], { groups: spanOf(groups) }))) return undefined;
  if (spanOf(groups) * spanOf(rows.picked) > 2 ** 31) return undefined;
  return { table, rows, group, weights, tableAxes, slotAxes, weightAxes, resultAxes, out };
}

/** The slots that spell row and group: the value both were divided out of, or group·N + row. */
function slotOf(here: Here, { rows, group, slotAxes }: Pool, N: number): ValueId {
  const { uses, rewriter, like } = here;
  const arranged = (value: ValueId, axes: Axes): ValueId => arrange(here, value, axes, slotAxes);
  if (group === undefined) return arranged(rows.value, rows.axes);
  const [row, block] = [rows.value, group.value].map((value) => uses.made(throughReshapes(uses, value), 'binary'));
  const divided = (what: typeof row, fn: string): boolean =>
    what?.attrs.fn === fn && uses.constantValue(what.inputs[1]!) === N;
  if (row && block && divided(row, 'imod') && divided(block, 'idiv') && row.inputs[0] === block.inputs[0]) {
    return arranged(reshaped(here, row.inputs[0]!, uses.type(rows.value).shape), rows.axes);
  }
  const size = rewriter.addOne('constant', [], { value: N, dtype: 'i32' }, like, 'rows');
  const first = rewriter.addOne('binary', [arranged(group.value, group.axes), size], { fn: 'mul' }, like, 'first');
  return rewriter.addOne('binary', [first, arranged(rows.value, rows.axes)], { fn: 'add' }, like, idLike('slot', like));
}
