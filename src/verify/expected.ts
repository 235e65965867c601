// Holds computed tensors to a case's expected ones: which scores decide ties of which indices, and what moves with them.

import { isFloat } from '../support/dtype.ts';
import { elements, type Tensor } from '../support/tensor.ts';
import { type Comparison, compareFloats, compareIndices, type Limits, type Order } from './compare.ts';

/** Index tensors of a retrieval → the scores they were selected by. The first that the case has decides. */
const selectedBy: Readonly<Record<string, readonly string[]>> = {
  stage1_index1: ['stage1_scores1'],
  stage1_index2: ['stage1_scores2'],
  grid_top_pos: ['grid_top_scores'],
  best_index: ['best_scores', 'lookup_scores', 'softmax_scores'],
  shuffled_index: ['best_scores', 'lookup_scores', 'softmax_scores'],
  real_index: ['best_scores', 'lookup_scores', 'softmax_scores'],
  group_index: ['best_scores', 'lookup_scores', 'softmax_scores'],
};

/** Score tensors → the index tensors in whose order they stand. */
const standsBy: Readonly<Record<string, readonly string[]>> = {
  stage1_scores1: ['stage1_index1'],
  stage1_scores2: ['stage1_index2'],
  grid_top_scores: ['grid_top_pos'],
  best_scores: ['best_index', 'shuffled_index'],
  lookup_scores: ['best_index', 'shuffled_index'],
  softmax_scores: ['best_index', 'shuffled_index'],
  pre_score: ['best_index', 'shuffled_index'],
};

/**
 * Compares every expected tensor with the computed one of its name; both in the case's names and layouts.
 * Expected tensors without a computed one are left out: who must have what is the caller's rule.
 */
export function compareAll(
  computed: Readonly<Record<string, Tensor>>,
  expected: Readonly<Record<string, Tensor>>,
  within?: Limits,
): Comparison[] {
  const names = Object.keys(expected).filter((name) => computed[name] !== undefined);
  const orders = new Map<string, Order>();
  const results = new Map<string, Comparison>();
  for (const name of names.filter((name) => !isFloat(expected[name]!.dtype))) {
    const scores = scoresOf(name, expected);
    const { comparison, order } = compareIndices(name, computed[name]!, expected[name]!, scores);
    results.set(name, comparison);
    if (order !== undefined) orders.set(name, order);
  }
  for (const name of names.filter((name) => isFloat(expected[name]!.dtype))) {
    const { prefix, last } = parts(name);
    const order = (standsBy[last] ?? [])
      .map((index) => orders.get(prefix + index))
      .find((found) => found !== undefined);
    results.set(name, compareFloats(name, computed[name]!, expected[name]!, order, within));
  }
  return names.map((name) => results.get(name)!);
}

/** One score per element of an index tensor: cores, which stand on the last axis, summed. */
function scoresOf(name: string, expected: Readonly<Record<string, Tensor>>): Float64Array | undefined {
  const { prefix, last } = parts(name);
  const count = elements(expected[name]!.shape);
  for (const source of selectedBy[last] ?? []) {
    const scores = expected[prefix + source];
    if (scores === undefined || elements(scores.shape) % count !== 0) continue;
    const cores = elements(scores.shape) / count;
    return Float64Array.from({ length: count }, (_, i) => {
      let total = 0;
      for (let c = 0; c < cores; c++) total += Number(scores.data[i * cores + c]);
      return total;
    });
  }
  return undefined;
}

function parts(name: string): { prefix: string; last: string } {
  const dot = name.lastIndexOf('.');
  return { prefix: name.slice(0, dot + 1), last: name.slice(dot + 1) };
}
