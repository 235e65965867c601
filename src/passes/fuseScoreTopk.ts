// topk over q·keys, keys known at load → score_topk: the scores of all n keys stay in registers (UltraMem §1.5-7).
// Needs merged keys: foldScoreWeights has made one product of rank scores and their merge.
// After it no [T,H,n] value is left behind such a topk. Before the re-scoring fusions, which start from its indices.

import type { Graph, Node } from '../ir/graph.ts';
import { inferTypes, isProblem, matches } from '../ir/index.ts';
import type { Trail } from '../ir/trail.ts';
import { arrange, canArrange, reshaped, shapeOfAxes } from './arrange.ts';
import {
  type Atom,
  type Axes,
  findProduct,
  type Product,
  sameOrder,
  sameSet,
  type ValueFactor,
  within,
  without,
} from './product.ts';
import { type Here, idLike, sweep } from './sweep.ts';

export const fuseScoreTopk = (graph: Graph, trail?: Trail): Graph => sweep(graph, [scoreTopk], trail);

interface Scores {
  readonly q: ValueFactor;
  readonly keys: ValueFactor;
  readonly token: Atom;
  readonly heads: readonly Atom[];
  readonly queryAxes: Axes;
  readonly keyAxes: Axes;
}

function scoreTopk(node: Node, here: Here): boolean {
  const topk = matches(node, 'topk');
  if (!topk) return false;
  const { uses, rewriter } = here;
  const scores = findProduct(uses, topk.inputs[0]!, (product) => scoresOf(product, (id) => uses.isConstant(id)));
  if (!scores) return false;
  const { k } = topk.attrs;
  const types = [scores.queryAxes, scores.keyAxes].map((axes) => ({
    dtype: 'f32' as const,
    shape: shapeOfAxes(axes)!,
  }));
  if (isProblem(inferTypes('score_topk', types, { k }))) return false;
  const q = arrange(here, scores.q.value, scores.q.axes, scores.queryAxes);
  const keys = arrange(here, scores.keys.value, scores.keys.axes, scores.keyAxes);
  const best = rewriter.add('score_topk', [q, keys], { k }, node, idLike('score_topk', node));
  rewriter.replaceNode(
    node,
    // [T,H,k], where the model may have no head axis, or several.
    best.map((id, i) => reshaped(here, id, node.results[i]!.type.shape)),
  );
  return true;
}

/** Scores [t,…heads,n] as Σ_d q[t,(heads),d]·keys[heads,n,d]. */
function scoresOf({ factors, out }: Product, isConstant: (id: string) => boolean): Scores | undefined {
  const values = factors.filter((factor) => factor.kind === 'value');
  const keys = values.find(({ value }) => isConstant(value));
  const q = values.find(({ value }) => !isConstant(value));
  if (factors.length !== 2 || keys === undefined || q === undefined) return undefined;
  const [ofQuery, ofKeys] = [q.axes.flat(), keys.axes.flat()];
  const n = out.at(-1)!;
  const [token, ...heads] = out.slice(0, -1).flat();
  if (token === undefined || within(n, ofQuery).length > 0 || within(n, ofKeys).length < n.length) return undefined;
  if (within([token], ofKeys).length > 0 || within(heads, ofKeys).length < heads.length) return undefined;
  const headsOfQuery = within(heads, ofQuery);
  if (headsOfQuery.length > 0 && headsOfQuery.length < heads.length) return undefined;
  const summed = without(ofQuery, out.flat());
  if (!sameSet(summed, without(ofKeys, out.flat()))) return undefined;
  const queryAxes = headsOfQuery.length > 0 ? [[token], heads, summed] : [[token], summed];
  const keyAxes = [heads, n, summed];
  if (!canArrange(q.axes, queryAxes) || !canArrange(keys.axes, keyAxes)) return undefined;
  // A query that only fits after a transpose in every step would cost more than it saves.
  if (!sameOrder(ofQuery, queryAxes.flat())) return undefined;
  return { q, keys, token, heads, queryAxes, keyAxes };
}
