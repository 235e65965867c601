// Gathers keys before multiplying by them: gather(q·K, index) → q·gather(K, index), scores of the chosen keys only (UltraMem §6.1).
// And what topk has gathered already is not gathered again. Needs nothing.
// After it no full score matrix is computed for the sake of a few picks. Before foldScoreWeights, which wants it to have one reader.

import type { Graph } from '../ir/graph.ts';
import { matches } from '../ir/index.ts';
import { isProblem } from '../ir/op.ts';
import { parseGather } from '../ir/ops/gather.ts';
import type { Trail } from '../ir/trail.ts';
import { apart, multiplied, picked } from './arrange.ts';
import {
  type Atom,
  atomsOf,
  findProduct,
  type PickFactor,
  spanOf,
  type ValueFactor,
  within,
  without,
} from './product.ts';
import { idLike, type Rule, sweep, throughReshapes } from './sweep.ts';

export const selectThenScore = (graph: Graph, trail?: Trail): Graph => sweep(graph, [topkValues, selectKeys], trail);

/** gather(x, index of topk(x)) → values of topk(x). */
const topkValues: Rule = (node, { uses, rewriter }) => {
  const gather = matches(node, 'gather');
  if (!gather) return false;
  const [source, index] = gather.inputs as [string, string];
  const best = uses.made(index, 'topk');
  if (!best || best.result === index || best.inputs[0] !== source) return false;
  const equation = parseGather(gather.attrs.equation);
  if (isProblem(equation)) return false;
  const aligned = equation.source.slice(0, -1) === equation.index.slice(0, -1) && equation.out === equation.index;
  if (!aligned || equation.source.at(-1) !== equation.axis) return false;
  rewriter.replaceNode(node, [best.result]);
  return true;
};

interface Selection {
  readonly query: ValueFactor;
  readonly keys: ValueFactor;
  /** Constant factors of the scores, by atoms of the keys. */
  readonly scales: readonly ValueFactor[];
  readonly pick: PickFactor;
  readonly rows: readonly Atom[];
  readonly out: readonly (readonly Atom[])[];
}

const selectKeys: Rule = (node, here) => {
  const { uses, rewriter } = here;
  const gather = matches(node, 'gather');
  // The gather reads scores; keys gathered already are what the rule makes.
  if (!gather || uses.isConstant(throughReshapes(uses, gather.inputs[0]!))) return false;
  const selection = findProduct(uses, gather.result, ({ factors, out }): Selection | undefined => {
    const values = factors.filter((factor) => factor.kind === 'value');
    const [pick, ...others] = factors.filter((factor) => factor.kind === 'pick');
    const keys = values.find(
      (factor) =>
        uses.isConstant(factor.value) && pick && within(atomsOf(factor), pick.picked).length === pick.picked.length,
    );
    const [query, ...queries] = values.filter(({ value }) => !uses.isConstant(value));
    const scales = values.filter((factor) => factor !== keys && factor !== query);
    if (!pick || others.length > 0 || !keys || !query || queries.length > 0) return undefined;
    if (within(atomsOf(query), pick.picked).length > 0) return undefined;
    if (scales.some((scale) => without(atomsOf(scale), atomsOf(keys)).length > 0)) return undefined;
    const chosen = without(pick.axes.flat(), [...atomsOf(query), ...atomsOf(keys)]);
    // Fewer picks than keys, or all scores are cheaper.
    if (spanOf(chosen) >= spanOf(pick.picked)) return undefined;
    const rows = [...pick.axes.flat(), ...without(without(atomsOf(keys), pick.picked), pick.axes.flat())];
    return { query, keys, scales, pick, rows, out };
  });
  if (!selection) return false;
  const { query, scales, pick, rows, out } = selection;
  const keys = scales.reduce((scaled: ValueFactor, scale): ValueFactor => {
    const axes = apart(atomsOf(scaled));
    return { kind: 'value', value: multiplied(here, scaled, scale, axes, 'scaled_keys'), axes };
  }, selection.keys);
  const chosen: ValueFactor = { kind: 'value', value: picked(here, keys, pick, rows), axes: apart(rows) };
  rewriter.replaceNode(node, [multiplied(here, query, chosen, out, idLike('chosen_scores', node))]);
  return true;
};
