// What memory layers fuse into that are the same as the preset, and not quite the same.

import { mul, relu, silu, softmax } from 'ultramem';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Graph } from '../../src/ir/graph.ts';
import { runPasses } from '../../src/passes/run-passes.ts';
import { dataFor } from '../arbitrary-graph.ts';
import { seed } from '../settings.ts';
import {
  bag,
  fromTheRight,
  type LayerOptions,
  layerVariant,
  productsSummed,
  projectThenPool,
  turned,
} from './layer-variants.ts';
import { sameMeaning } from './meaning.ts';
import { memoryPlus, v2 } from './relatives.ts';

const test = suite('passes: variants');

const views = ['reshape', 'slice', 'transpose', 'constant'];

/** Kinds of the step nodes that compute, in order. */
const computing = (graph: Graph): string[] =>
  graph.nodes.filter(({ stage, op }) => stage === 'step' && !views.includes(op)).map(({ op }) => op);

/** Largest number of elements per token of any step value. */
const widest = (graph: Graph): number =>
  Math.max(
    ...graph.nodes
      .filter(({ stage }) => stage === 'step')
      .flatMap((node) =>
        node.results.map(({ type }) => type.shape.reduce<number>((p, q) => p * (typeof q === 'number' ? q : 1), 1)),
      ),
  );

function check(name: string, options: LayerOptions, ops: string, note?: (before: Graph, after: Graph) => void): void {
  test(name, () => {
    const before = layerVariant(options);
    const { graph } = runPasses(before);
    assert.is(computing(graph).join(' '), ops);
    sameMeaning(before, graph, dataFor(before, seed));
    note?.(before, graph);
  });
}

const whole = 'einsum norm score_topk score_topk rescore_topk gather_pool einsum';

check('the layer of the paper', {}, whole, (_, graph) => assert.ok(widest(graph) <= 32));
check('no shuffle', { shuffle: false }, whole);
check('no virtual blocks', { E: 1 }, whole);
check('no virtual blocks and no shuffle', { E: 1, shuffle: false }, whole);
check('nine blocks', { E: 9 }, whole);
check('one head', { H: 1 }, whole);
check('rank 1', { r: 1 }, whole);
check('rank 3', { r: 3 }, whole);
check('one core', { h: 1 }, whole);
check('four cores', { h: 4 }, whole);
check('one head, rank 1, one core, one block', { H: 1, r: 1, h: 1, E: 1 }, whole);
check('a query per rank', { perRank: true }, whole);
check('layer norm', { norm: 'layer' }, whole);
check('no norm', { norm: 'none' }, whole.replace(' norm', ''));
check(
  'softmax of the chosen scores',
  { onWeights: (x) => softmax(x) },
  whole.replace('gather_pool', 'softmax gather_pool'),
);
check('an activation of the chosen scores', { onWeights: silu }, whole.replace('gather_pool', 'unary gather_pool'));
check('scaled scores', { onScores: (x) => mul(x, 0.5) }, whole);
// Stage 1 needs all rank scores then: the merge cannot be folded, and chosen ones are picked from them.
check(
  'an activation of rank scores',
  { onScores: relu },
  'einsum norm einsum unary einsum topk gather einsum unary einsum topk gather grid_topk binary gather binary binary gather binary gather gather_pool einsum',
);
check('grid from the right', { grid: fromTheRight }, whole);
check('grid with all axes turned', { grid: turned }, whole);
check('merge as a sum of products', { merge: productsSummed }, whole);
check('rows projected, then pooled', { pool: projectThenPool }, `${whole} einsum`);
check('a bag of rows', { E: 1, pool: bag }, whole.replace('gather_pool', 'softmax gather_pool'));

const whatFuses = (name: string, before: Graph, ops: string): void =>
  test(name, () => {
    const { graph } = runPasses(before);
    assert.is(computing(graph).join(' '), ops);
    sameMeaning(before, graph, dataFor(before, seed));
  });

const added = 'score_topk score_topk sum_grid_topk softmax gather_pool';
whatFuses('Memory+ and PKM', memoryPlus(), `einsum norm ${added}`);
whatFuses(
  'Memory+ with its gate, which shares its input with the query',
  memoryPlus({ gated: true }),
  `einsum norm ${added} elementwise einsum`,
);
// The window's row and the block are no quotients of one slot, so a slot is put together; pre-values are one gather_dot.
whatFuses(
  'V2',
  v2(),
  'einsum norm score_topk score_topk rescore_topk binary binary gather_dot unary binary gather_pool einsum',
);

test.run();
