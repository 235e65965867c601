// Products with matrices picked per token → expert_linear: a mixture's experts, each read once for all tokens that chose it, and
// none copied out. Σ_k of weighted choices joins it. Finds gather of matrices then product, product with all then gather, any order.
//
// gather_dot is the same mathematics for keys: rows far apart, which hardly ever two tokens share. Which one a product becomes
// goes by what is picked. It is experts where the pick is of whole matrices (no head axis between tokens and choices), of more rows
// than any Tucker rank that retrieval kernels hold, and of no more of them than one has elements, so that grouping choices, which
// walks over all experts, costs less than reading one. Where each choice has an x of its own, or choices are weighted and
// summed, gather_dot has no form, but the same rule tells experts from tables.
//
// Behind poolThenProject and selectThenScore, which bring picks next to what they pick from and pool rows that share projectors;
// before fuseGatherDot, which would take a product with one x per token.

import type { Graph, Node } from '../ir/graph.ts';
import { inferTypes, isProblem } from '../ir/index.ts';
import type { Trail } from '../ir/trail.ts';
import { arrange, canArrange, scaled, shapeOfAxes } from './arrange.ts';
import {
  type Axes,
  findProduct,
  has,
  type PickFactor,
  type Product,
  readOnce,
  sameSet,
  spanOf,
  type ValueFactor,
  within,
  without,
} from './product.ts';
import { type Here, idLike, sweep } from './sweep.ts';

export const fuseExpertLinear = (graph: Graph, trail?: Trail): Graph => sweep(graph, [expertLinear], trail, 'outputs');

/** The most ranks of a key that a retrieval kernel holds: matrices of more rows are no keys. */
const MOST_RANKS = 8;

interface Experts {
  readonly x: readonly ValueFactor[];
  readonly weights: ValueFactor;
  readonly index: PickFactor;
  /** Of the choices; none where they are not summed. */
  readonly scores: readonly ValueFactor[];
  readonly xAxes: Axes;
  readonly weightAxes: Axes;
  readonly indexAxes: Axes;
  readonly resultAxes: Axes;
  readonly out: Axes;
}

function expertLinear(node: Node, here: Here): boolean {
  if (!['gather', 'einsum', 'reduce'].includes(node.op)) return false;
  const { uses, rewriter } = here;
  const result = node.results[0]!;
  if (uses.isConstant(result.id)) return false;
  const found = findProduct(uses, result.id, (product) => expertsOf(product, node, here));
  if (!found) return false;
  const { x, weights, index, scores, indexAxes, out } = found;
  const operands = [
    scaled(here, x, found.xAxes),
    arrange(here, weights.value, weights.axes, found.weightAxes),
    arrange(here, index.value, index.axes, indexAxes),
    ...(scores.length > 0 ? [scaled(here, scores, indexAxes)] : []),
  ];
  const y = rewriter.addOne('expert_linear', operands, {}, node, idLike('expert_linear', node));
  rewriter.replaceNode(node, [arrange(here, y, found.resultAxes, out)]);
  return true;
}

/** Σ_d x[t,(k),d]·weights[index[t,k],n,d], or Σ_k s[t,k]·… of it; k and n may be several axes each. */
function expertsOf({ factors, out }: Product, node: Node, { uses }: Here): Experts | undefined {
  const values = factors.filter((factor) => factor.kind === 'value');
  const [index, ...otherPicks] = factors.filter((factor) => factor.kind === 'pick');
  if (index === undefined || index.by !== 'gather' || otherPicks.length > 0) return undefined;
  const [weights, ...constants] = values.filter(({ value }) => uses.isConstant(value));
  if (weights === undefined || constants.length > 0) return undefined;
  const [ofWeights, ofIndex, all] = [weights.axes.flat(), index.axes.flat(), out.flat()];
  const e = index.picked;
  if (within(e, ofWeights).length < e.length || within(e, all).length > 0) return undefined;
  const n = within(without(ofWeights, e), all);
  const d = without(ofWeights, [...e, ...n]);
  if (n.length === 0 || d.length === 0 || within(ofWeights, ofIndex).length > 0) return undefined;
  if (spanOf(n) <= MOST_RANKS || spanOf(e) > spanOf(n) * spanOf(d)) return undefined;

  const tokens = ofIndex.filter(({ size }) => typeof size === 'string');
  const k = without(ofIndex, tokens);
  if (tokens.length !== 1 || !has(all, tokens[0]!)) return undefined;
  // What has an axis of the products' terms is x; the rest weights choices.
  const steps = values.filter((factor) => factor !== weights);
  const x = steps.filter(({ axes }) => within(axes.flat(), d).length > 0);
  const scores = steps.filter((factor) => !x.includes(factor));
  const indexAxes = [tokens, k];
  const own = x.some(({ axes }) => within(axes.flat(), k).length > 0);
  const xAxes = own ? [tokens, k, d] : [tokens, d];
  if (!broadcasts(x, xAxes) || (scores.length > 0 && !broadcasts(scores, indexAxes))) return undefined;
  const summed = scores.length > 0;
  if (within(k, all).length !== (summed ? 0 : k.length)) return undefined;
  if (summed && !readOnce(uses, node)) return undefined;
  const weightAxes = [e, n, d];
  const resultAxes = summed ? [tokens, n] : [tokens, k, n];
  const fits =
    sameSet(all, resultAxes.flat()) &&
    canArrange(weights.axes, weightAxes) &&
    canArrange(index.axes, indexAxes) &&
    canArrange(resultAxes, out);
  if (!fits) return undefined;
  const floats = (axes: Axes) => ({ dtype: 'f32' as const, shape: shapeOfAxes(axes)! });
  const indexType = { dtype: uses.type(index.value).dtype, shape: shapeOfAxes(indexAxes)! };
  const types = [floats(xAxes), floats(weightAxes), indexType, ...(summed ? [floats(indexAxes)] : [])];
  if (isProblem(inferTypes('expert_linear', types, {}))) return undefined;
  return { x, weights, index, scores, xAxes, weightAxes, indexAxes, resultAxes, out };
}

/** Whether factors multiply to all of the axes: each has an axis whole or not at all, one has them all whole, and none has others. */
const broadcasts = (factors: readonly ValueFactor[], axes: Axes): boolean =>
  shapeOfAxes(axes) !== undefined &&
  factors.every(({ axes: own }) => without(own.flat(), axes.flat()).length === 0) &&
  axes.every((axis) => factors.every(({ axes: own }) => [0, axis.length].includes(within(axis, own.flat()).length))) &&
  axes.every((axis) => factors.some(({ axes: own }) => within(axis, own.flat()).length === axis.length));
