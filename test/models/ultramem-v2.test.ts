// What the reference has no case of: V2 with the paper's queries and with more rows kept than keys, that layers fuse whole, and
// options that cannot be.

import { DiagnosticsError, model, trace } from 'ultramem';
import { memoryPlus, memoryPlusTable, type UltramemV2Options, ultramemV2, ultramemV2Tables } from 'ultramem/models';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Graph } from '../../src/ir/graph.ts';
import { runPasses } from '../../src/passes/run-passes.ts';
import { dataFor } from '../arbitrary-graph.ts';
import { sameMeaning } from '../passes/meaning.ts';
import { seed } from '../settings.ts';

const test = suite('preset: ultramem-v2');
const base: UltramemV2Options = { width: 10, layers: 3, knum: 6, kdim: 5, vdim: 8, knn: 4 };

const layersOf = (options: UltramemV2Options, numbers = [0, 1, 2]): Graph =>
  trace(
    model('layers', (m) => {
      const T = m.symbol('T');
      const tables = ultramemV2Tables(m, options);
      for (const n of numbers) {
        const x = m.input(`x_${n}`, [T, options.width]);
        m.output(`y_${n}`, ultramemV2(m, x, tables, { ...options, n, prefix: `${n}.`, taps: `mid.${n}.` }));
      }
    }),
  );

/** Fused kernels of one layer, in order. */
const kernels = (graph: Graph): string =>
  graph.nodes
    .map(({ op }) => op)
    .filter((op) => ['score_topk', 'rescore_topk', 'sum_grid_topk', 'gather_dot', 'gather_pool'].includes(op))
    .join(' ');

const retrieval = 'score_topk score_topk rescore_topk';
const variants: readonly [string, Partial<UltramemV2Options>, string][] = [
  ['no pre-values', {}, `${retrieval} gather_pool`],
  [
    'pre-values through GELU, blocks summed',
    { preVdim: 3, preGelu: true, expandValues: false },
    `${retrieval} gather_dot gather_pool`,
  ],
  [
    "the paper's query per rank",
    { queryPerRank: true, rank: 3, heads: 3, preVdim: 3 },
    `${retrieval} gather_dot gather_pool`,
  ],
  ['four heads of the reference, two to a query', { heads: 4 }, `${retrieval} gather_pool`],
  ['half the table', { share: 0.5, keyExpansion: 3 }, `${retrieval} gather_pool`],
  ['more rows than keys kept per side', { knum: 90, layers: 1, knn: 200, share: 1 }, `${retrieval} gather_pool`],
];
for (const [name, options, wanted] of variants) {
  test(`${name}: fuses whole, with the same meaning`, () => {
    const before = layersOf({ ...base, ...options }, [(options.layers ?? base.layers) - 1]);
    const { graph } = runPasses(before);
    assert.is(kernels(graph), wanted);
    sameMeaning(before, graph, dataFor(before, seed));
  });
}

test('at most 128 keys are kept per side, and more rows than that', () => {
  const graph = layersOf({ ...base, knum: 90, layers: 1, knn: 200 }, [0]);
  const kept = graph.nodes.filter(({ op }) => op === 'topk').map(({ attrs }) => attrs.k);
  assert.equal(kept, [128, 128, 200]);
});

test('windows start n²·layer rows on and wrap round the table', () => {
  const starts = [0, 1, 2].map((n) => {
    const graph = layersOf(base, [n]);
    const constants = graph.nodes.filter(({ op }) => op === 'constant').map(({ attrs }) => attrs.value);
    return constants.includes(n * 36) && constants.includes(108);
  });
  assert.equal(starts, [true, true, true]);
});

const refused = (message: RegExp, make: () => Graph): void =>
  assert.throws(make, (error: unknown) => {
    if (!(error instanceof DiagnosticsError)) return false;
    return error.diagnostics.some((one) => one.code === 'bad-option' && message.test(one.message));
  });

for (const [name, options, message] of [
  ['a window past the table', { share: 1.5 }, /past a table of 108/],
  ['no share', { share: 0 }, /share of 0/],
  ['cores that do not divide a row', { cores: 3 }, /3 cores do not divide/],
  ['five heads of the reference', { heads: 5 }, /5 heads/],
  ['half a key', { kdim: 2.5 }, /size kdim/],
] as const satisfies readonly (readonly [string, Partial<UltramemV2Options>, RegExp])[]) {
  test(`refuses ${name}`, () => refused(message, () => layersOf({ ...base, ...options })));
}

test('refuses a layer beyond those that share the table', () => refused(/layer 3 of 3/, () => layersOf(base, [3])));

test('refuses Memory+ of bad sizes', () =>
  refused(/memoryPlus: size heads/, () =>
    trace(
      model('layer', (m) => {
        const options = { width: 8, knum: 4, kdim: 4, knn: 2, heads: 0 };
        const x = m.input('x', [m.symbol('T'), 8]);
        m.output('y', memoryPlus(m, x, memoryPlusTable(m, options), { ...options, prefix: '', taps: 'mid.' }));
      }),
    ),
  ));

test.run();
