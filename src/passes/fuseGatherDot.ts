// q·keys at chosen keys → gather_dot: rank scores of the m selected keys only (UltraMem §1.5; §6.1), their rows never copied out.
// Needs nothing; gather of a product and product of a gather (selectThenScore) are one to it.
// After it rank scores of retrieval come from selected keys. Before fuseGridTopk, which starts from them.

import type { Graph, Node } from '../ir/graph.ts';
import { inferTypes, isProblem } from '../ir/index.ts';
import type { Trail } from '../ir/trail.ts';
import { arrange, canArrange, shapeOfAxes } from './arrange.ts';
import {
  type Axes,
  findProduct,
  type PickFactor,
  type Product,
  sameSet,
  type ValueFactor,
  within,
  without,
} from './product.ts';
import { type Here, idLike, sweep } from './sweep.ts';

export const fuseGatherDot = (graph: Graph, trail?: Trail): Graph => sweep(graph, [gatherDot], trail, 'outputs');

interface Dot {
  readonly q: ValueFactor;
  readonly keys: ValueFactor;
  readonly index: PickFactor;
  readonly queryAxes: Axes;
  readonly keyAxes: Axes;
  readonly indexAxes: Axes;
  readonly resultAxes: Axes;
  readonly out: Axes;
}

function gatherDot(node: Node, here: Here): boolean {
  if (!['gather', 'einsum', 'reduce'].includes(node.op)) return false;
  const { uses, rewriter } = here;
  const result = node.results[0]!;
  if (uses.isConstant(result.id)) return false;
  const dot = findProduct(uses, result.id, (product) => dotOf(product, here));
  if (!dot) return false;
  const operands = [
    [dot.q, dot.queryAxes],
    [dot.keys, dot.keyAxes],
    [dot.index, dot.indexAxes],
  ] as const;
  const scores = rewriter.addOne(
    'gather_dot',
    operands.map(([factor, axes]) => arrange(here, factor.value, factor.axes, axes)),
    {},
    node,
    idLike('gather_dot', node),
  );
  rewriter.replaceNode(node, [arrange(here, scores, dot.resultAxes, dot.out)]);
  return true;
}

/** Σ_d q[t,(h or r),d]·keys[h,index[t,h,m],r,d]; h, m and r may be missing, or several axes each. */
function dotOf({ factors, out }: Product, { uses }: Here): Dot | undefined {
  const values = factors.filter((factor) => factor.kind === 'value');
  const [index, ...otherPicks] = factors.filter((factor) => factor.kind === 'pick');
  const keys = values.find(({ value }) => uses.isConstant(value));
  const q = values.find(({ value }) => !uses.isConstant(value));
  if (values.length !== 2 || index === undefined || otherPicks.length > 0 || !keys || !q) return undefined;
  const [ofQuery, ofKeys, ofIndex, all] = [q.axes.flat(), keys.axes.flat(), index.axes.flat(), out.flat()];
  const n = index.picked;
  if (within(n, ofKeys).length < n.length || within(n, [...ofQuery, ...all]).length > 0) return undefined;
  const tokens = without(within(ofIndex, ofQuery), ofKeys);
  const h = within(ofIndex, ofKeys);
  const m = without(ofIndex, [...tokens, ...h]);
  const r = without(within(ofKeys, all), [...h, ...n]);
  const d = without(ofQuery, all);
  if (tokens.length !== 1 || d.length === 0 || !sameSet(without(ofKeys, [...all, ...n]), d)) return undefined;
  const perRank = within(ofQuery, r);
  if (perRank.length > 0 && perRank.length < r.length) return undefined;
  const perHead = within(ofQuery, h);
  if (perHead.length > 0 && (perHead.length < h.length || perRank.length > 0)) return undefined;
  const queryAxes = perHead.length > 0 ? [tokens, h, [], d] : perRank.length > 0 ? [tokens, r, d] : [tokens, d];
  const keyAxes = [h, n, r, d];
  const indexAxes = [tokens, h, m];
  const resultAxes = [tokens, h, m, r];
  const fits =
    canArrange(q.axes, queryAxes) &&
    canArrange(keys.axes, keyAxes) &&
    canArrange(index.axes, indexAxes) &&
    canArrange(resultAxes, out);
  if (!fits) return undefined;
  const types = [queryAxes, keyAxes].map((axes) => ({ dtype: 'f32' as const, shape: shapeOfAxes(axes)! }));
  const indexType = { dtype: uses.type(index.value).dtype, shape: shapeOfAxes(indexAxes)! };
  if (isProblem(inferTypes('gather_dot', [...types, indexType], {}))) return undefined;
  return { q, keys, index, queryAxes, keyAxes, indexAxes, resultAxes, out };
}
