// Multiplies weights with weights: Σ_ρ u_ρ·(q·K_ρ) → q·(Σ_ρ u_ρ·K_ρ), once when weights load (UltraMem §6.1); a query per rank is
// contracted over rank and width together. Likewise constant factors of scores that go into a topk.
// Needs the product to have no other reader (selectThenScore). After it stage 1 is one product per side. Before fuseScoreTopk.

import type { Graph, Node } from '../ir/graph.ts';
import { matches } from '../ir/index.ts';
import type { Trail } from '../ir/trail.ts';
import { apart, multiplied } from './arrange.ts';
import {
  type Atom,
  type Axes,
  findProduct,
  type Product,
  readOnce,
  spanOf,
  type ValueFactor,
  within,
  without,
} from './product.ts';
import { type Here, idLike, type Rule, sweep } from './sweep.ts';

export const foldScoreWeights = (graph: Graph, trail?: Trail): Graph => sweep(graph, [foldWeights], trail);

interface Fold {
  readonly query: ValueFactor;
  readonly keys: ValueFactor;
  readonly weights: ValueFactor;
  readonly folded: readonly Atom[];
  readonly out: Axes;
}

const foldWeights: Rule = (node, here) => {
  const { uses, rewriter } = here;
  const isScale = matches(node, 'binary', { fn: 'mul' }) && feedsTopk(here, node);
  const isProduct = node.op === 'einsum' || matches(node, 'reduce', { fn: 'sum' });
  if ((!isProduct && !isScale) || uses.isConstant(node.results[0]!.id)) return false;
  const fold = findProduct(uses, node.results[0]!.id, (product) => foldOf(product, node, here));
  if (!fold) return false;
  const { query, keys, weights, folded, out } = fold;
  const axes = apart(folded);
  const value = multiplied(here, keys, weights, axes, 'folded_keys');
  const scores = multiplied(here, query, { kind: 'value', value, axes }, out, idLike('scores', node));
  rewriter.replaceNode(node, [scores]);
  return true;
};

function foldOf({ factors, out }: Product, node: Node, { uses }: Here): Fold | undefined {
  const values = factors.filter((factor) => factor.kind === 'value');
  const constants = values.filter(({ value }) => uses.isConstant(value));
  const [query, ...others] = values.filter(({ value }) => !uses.isConstant(value));
  const [keys, weights] = constants.sort((a, b) => spanOf(b.axes.flat()) - spanOf(a.axes.flat()));
  if (factors.length !== 3 || !query || others.length > 0 || !keys || !weights) return undefined;
  if (!readOnce(uses, node)) return undefined;
  const [ofQuery, ofKeys, ofWeights, all] = [query.axes.flat(), keys.axes.flat(), weights.axes.flat(), out.flat()];
  const both = [...ofKeys, ...without(ofWeights, ofKeys)];
  const folded = within(both, [...ofQuery, ...all]);
  // Folding must not make the weights larger than the larger of the two was.
  if (spanOf(folded) > spanOf(ofKeys)) return undefined;
  return { query, keys, weights, folded, out };
}

function feedsTopk(here: Here, node: Node): boolean {
  const user = here.uses.singleUser(node.results[0]!.id);
  if (user?.op === 'reshape' || user?.op === 'transpose') return feedsTopk(here, user);
  return user?.op === 'topk';
}
