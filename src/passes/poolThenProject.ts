// Sums rows before multiplying them: Σ_j W[p_j]·x_j becomes Σ_p W[p]·(Σ of x_j over p_j = p), and Σ_j W·x_j becomes W·Σ_j x_j.
// Needs nothing. After it virtual blocks are pooled before their projectors and never materialised (UltraMem §1.13-14).
// Before selectThenScore, which would gather a projector per row, and before the fusions, which want the sum next to the rows.

import type { Graph } from '../ir/graph.ts';
import { matches } from '../ir/index.ts';
import { parseEquation } from '../ir/labels.ts';
import { isProblem } from '../ir/op.ts';
import type { Trail } from '../ir/trail.ts';
import { apart, arrange, canArrange, multiplied, scaled, shapeOfAxes } from './arrange.ts';
import {
  type Atom,
  type Axes,
  findProduct,
  has,
  type PickFactor,
  type Product,
  readOnce,
  spanOf,
  type ValueFactor,
  within,
  without,
} from './product.ts';
import { type Here, idLike, type Rule, sweep } from './sweep.ts';

export const poolThenProject = (graph: Graph, trail?: Trail): Graph =>
  sweep(graph, [poolByProjector, sumBeforeProjector, sumBeforeProduct, sumAlone], trail, 'outputs');

interface Projection {
  readonly x: readonly ValueFactor[];
  readonly projector: ValueFactor;
  readonly pick: PickFactor;
  readonly tokens: readonly Atom[];
  readonly rows: readonly Atom[];
  readonly width: readonly Atom[];
  readonly out: Axes;
}

/** Σ_r Σ_v x[t,r,v]·W[p[t,r],v,d] → Σ_p Σ_v group_sum(x, p)[t,p,v]·W[p,v,d]. */
const poolByProjector: Rule = (node, here) => {
  if (node.op !== 'einsum' && node.op !== 'reduce') return false;
  const { uses, rewriter } = here;
  const found = findProduct(uses, node.results[0]!.id, (product) => projectionOf(product, here));
  if (!found) return false;
  const { projector, pick, tokens, rows, width, out } = found;
  const x = scaled(here, found.x, [tokens, rows, width]);
  const blocks = arrange(here, pick.value, pick.axes, [tokens, rows]);
  const pooled = rewriter.addOne('group_sum', [x, blocks], { groups: spanOf(pick.picked) }, node, 'pooled');
  const factor: ValueFactor = { kind: 'value', value: pooled, axes: [tokens, pick.picked, width] };
  rewriter.replaceNode(node, [multiplied(here, factor, projector, out, idLike('projected', node))]);
  return true;
};

function projectionOf({ factors, out }: Product, { uses }: Here): Projection | undefined {
  const values = factors.filter((factor) => factor.kind === 'value');
  const [pick, ...others] = factors.filter((factor) => factor.kind === 'pick');
  if (pick === undefined || pick.picked.length === 0 || others.length > 0) return undefined;
  // Rows collected already are what the rule makes.
  if (pick.by === 'group_sum') return undefined;
  const [projector, ...more] = values.filter(({ axes }) => within(axes.flat(), pick.picked).length > 0);
  const x = values.filter((factor) => factor !== projector);
  if (!projector || more.length > 0 || x.length === 0 || !uses.isConstant(projector.value)) return undefined;
  const [all, ofProjector] = [out.flat(), projector.axes.flat()];
  if (within(pick.picked, all).length > 0 || uses.type(pick.value).dtype !== 'i32') return undefined;
  const tokens = within(pick.axes.flat(), all);
  const rows = without(pick.axes.flat(), tokens);
  const ofX = x.map(({ axes }) => axes.flat());
  const width = without(within(ofProjector, ofX.flat()), [...pick.picked, ...tokens, ...rows]);
  const xAxes = [tokens, rows, width];
  // Worth it when rows share blocks; then width and blocks are small against the rows they replace.
  if (tokens.length !== 1 || width.length === 0 || spanOf(pick.picked) > spanOf(rows) || has(ofProjector, tokens[0]!))
    return undefined;
  if (within(width, all).length > 0 || within(rows, ofProjector).length > 0) return undefined;
  const inside = ofX.every((atoms) => without(atoms, xAxes.flat()).length === 0);
  const kept = without(ofProjector, [...pick.picked, ...width]);
  if (!inside || !fills(ofX, xAxes) || without(kept, all).length > 0) return undefined;
  if (!canArrange(pick.axes, [tokens, rows]) || without(all, [...tokens, ...kept]).length > 0) return undefined;
  return { x, projector, pick, tokens, rows, width, out };
}

/** Σ_r Σ_v a[t,r,v]·b[t,r]·…·W[v,d] → Σ_v (Σ_r a[t,r,v]·b[t,r]·…)·W[v,d]. */
const sumBeforeProjector: Rule = (node, here) => {
  if (node.op !== 'einsum' && node.op !== 'reduce') return false;
  const { uses, rewriter } = here;
  if (!readOnce(uses, node)) return false;
  let summedAlready = false;
  const found = findProduct(uses, node.results[0]!.id, ({ factors, out }): Omit<Projection, 'pick'> | undefined => {
    const values = factors.filter((factor) => factor.kind === 'value');
    const [projector, ...constants] = values.filter(({ value }) => uses.isConstant(value));
    const x = values.filter((factor) => factor !== projector);
    if (values.length < factors.length || !projector || constants.length > 0 || x.length === 0) return undefined;
    const [all, ofProjector, ofX] = [out.flat(), projector.axes.flat(), x.map(({ axes }) => axes.flat())];
    const atoms = ofX.flat().filter((atom, i, list) => list.findIndex(({ id }) => id === atom.id) === i);
    const tokens = within(atoms, all);
    const width = without(within(ofProjector, atoms), all);
    const rows = without(atoms, [...tokens, ...width]);
    // A coarser view of the product has the rows summed before the projector: nothing to do.
    summedAlready ||= rows.length === 0 && width.length > 0;
    const kept = without(ofProjector, width);
    if (summedAlready || rows.length === 0 || width.length === 0 || within(tokens, ofProjector).length > 0)
      return undefined;
    if (without(kept, all).length > 0 || without(all, [...tokens, ...kept]).length > 0) return undefined;
    return fills(ofX, [...apart(tokens), rows, width]) ? { x, projector, tokens, rows, width, out } : undefined;
  });
  if (!found) return false;
  const { x, projector, tokens, rows, width, out } = found;
  const weighted = scaled(here, x, [...apart(tokens), rows, width]);
  const sum = rewriter.addOne('reduce', [weighted], { fn: 'sum', axis: tokens.length }, node, 'pooled');
  const factor: ValueFactor = { kind: 'value', value: sum, axes: [...apart(tokens), width] };
  rewriter.replaceNode(node, [multiplied(here, factor, projector, out, idLike('projected', node))]);
  return true;
};

/** Whether factors multiply to all of the axes by broadcasting: each has an axis whole or not at all, and each axis is in one. */
const fills = (factors: readonly (readonly Atom[])[], axes: Axes): boolean =>
  shapeOfAxes(axes) !== undefined &&
  axes.every(
    (axis) =>
      factors.every((atoms) => [0, axis.length].includes(within(axis, atoms).length)) &&
      factors.some((atoms) => within(axis, atoms).length === axis.length),
  );

/** sum over an axis of einsum → einsum without that axis in its result. */
const sumBeforeProduct: Rule = (node, here) => {
  const sum = matches(node, 'reduce', { fn: 'sum' });
  const product = sum && here.uses.made(sum.inputs[0], 'einsum');
  if (!sum || !product || here.uses.singleUser(product.result) !== node) return false;
  const [operands, result] = product.attrs.equation.split('->') as [string, string];
  const equation = `${operands}->${[...result].filter((_, axis) => axis !== sum.attrs.axis).join('')}`;
  here.rewriter.replaceNode(node, [here.rewriter.addOne('einsum', product.inputs, { equation }, product.node)]);
  return true;
};

/** einsum that sums an axis of one operand alone → einsum of the sum. */
const sumAlone: Rule = (node, here) => {
  const product = matches(node, 'einsum');
  const equation = product && parseEquation('einsum', product.attrs.equation);
  if (!product || !equation || isProblem(equation)) return false;
  const alone = (own: string, other: string) =>
    [...own].find((label) => !other.includes(label) && !equation.out.includes(label));
  for (const side of [0, 1] as const) {
    const [own, other] = side === 0 ? [equation.a, equation.b] : [equation.b, equation.a];
    const label = alone(own, other);
    if (label === undefined) continue;
    const axis = own.indexOf(label);
    const rest = own.replace(label, '');
    const sum = here.rewriter.addOne('reduce', [product.inputs[side]!], { fn: 'sum', axis }, node, 'sum');
    const inputs = product.inputs.with(side, sum);
    const operands = side === 0 ? `${rest},${other}` : `${other},${rest}`;
    const by = here.rewriter.addOne('einsum', inputs, { equation: `${operands}->${equation.out}` }, node);
    here.rewriter.replaceNode(node, [by]);
    return true;
  }
  return false;
};
