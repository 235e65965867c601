// Properties of every pass on random graphs: the meaning stays, a second run changes nothing, and the result is well formed.

import fc from 'fast-check';
import { relu } from 'ultramem';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parse, print, verify } from '../../src/ir/index.ts';
import { deadCode, pipeline } from '../../src/passes/index.ts';
import { runPasses } from '../../src/passes/run-passes.ts';
import { arbitraryGraph, dataFor } from '../arbitrary-graph.ts';
import { seed } from '../settings.ts';
import { arbitraryLayer, layerVariant, projectThenPool } from './layer-variants.ts';
import { sameMeaning } from './meaning.ts';

const test = suite('passes: properties');
const options = { seed, numRuns: 40 };

for (const pass of [...new Set(pipeline)]) {
  test(`${pass.name} keeps the meaning`, () => {
    fc.assert(
      fc.property(arbitraryGraph(), (random) => {
        // Passes count readers, so what nobody reads would be in the way of a first run and gone at the second.
        const before = deadCode(random.graph);
        const after = pass(before);
        verify(after);
        assert.equal(parse(print(after)), after);
        sameMeaning(before, after, random);
        assert.is(pass(after), after, 'a second run changes the graph');
      }),
      options,
    );
  });
}

test('all passes in order', () => {
  fc.assert(
    fc.property(arbitraryGraph(), (random) => {
      let before = random.graph;
      // From pass to pass: what a pass gets in the pipeline is what the passes before it made.
      const { graph } = runPasses(random.graph, {
        onPass: (_, after) => {
          if (after === before) return;
          sameMeaning(before, after, random, random.graph);
          before = after;
        },
      });
      assert.equal(parse(print(graph)), graph);
    }),
    options,
  );
});

test('hand-written memory layers', () => {
  fc.assert(
    fc.property(arbitraryLayer, fc.nat(2 ** 20), (layer, data) => {
      const before = layerVariant(layer);
      const { graph } = runPasses(before);
      assert.equal(parse(print(graph)), graph);
      sameMeaning(before, graph, dataFor(before, data));
      const ops = graph.nodes.filter(({ stage }) => stage === 'step').map(({ op }) => op);
      // Rows are never copied out, but where there are more projectors than rows to pool for them.
      const { E = 4, H = 2, m = 3, pool } = layer;
      const pooled = ops.includes('gather_pool') && !ops.includes('group_sum');
      assert.ok(pooled || (pool === projectThenPool && E > H * m), `rows are not pooled: ${ops}`);
      // No topk reads stored scores, unless rank scores are changed before their merge.
      assert.not(ops.includes('topk') && layer.onScores !== relu, `a topk is left: ${ops}`);
    }),
    options,
  );
});

test.run();
