// The notes on fusion: what kernels took, and why the rest was left.

import { linear, model, relu, rmsNorm, softmax, topk, trace } from 'ultramem';
import { moe } from 'ultramem/models';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parse } from '../../src/ir/index.ts';
import { explainFusion } from '../../src/passes/explain-fusion.ts';
import { runPasses } from '../../src/passes/run-passes.ts';
import { layerVariant } from './layer-variants.ts';

const test = suite('passes: notes');

const notesOn = (before: ReturnType<typeof parse>, kind: 'summary' | 'fused' | 'left') =>
  explainFusion(before, runPasses(before).graph).filter((note) => note.kind === kind);

const textsOf = (...args: Parameters<typeof notesOn>): string =>
  notesOn(...args)
    .map(({ text }) => text)
    .join('\n');

test('a layer that fuses whole has nothing left', () => {
  const layer = layerVariant({});
  const fused = textsOf(layer, 'fused');
  assert.match(
    fused,
    /^score_topk %score_topk_\d+: scores of 12 keys and their 3 best .* f32\[T,2,12\] is never stored$/m,
  );
  assert.match(fused, /^rescore_topk .*shuffle.* f32\[T,2,2,3,3\] is never stored$/m);
  assert.match(fused, /^gather_pool .* f32\[T,6,8\] is never stored$/m);
  assert.equal(notesOn(layer, 'left'), []);
  assert.match(textsOf(layer, 'summary'), /per step and \d+ at load/);
  assert.ok(notesOn(layer, 'fused').every(({ loc }) => loc?.file.endsWith('layer-variants.ts')));
});

test('an activation before the merge', () => {
  const left = textsOf(layerVariant({ onScores: relu }), 'left');
  assert.match(left, /^topk .*relu stands between the scores and their merge/m);
  assert.match(left, /^grid_topk .*its row scores are not rank scores of chosen keys, but come from gather/m);
});

test('a mixture of experts', () => {
  const graph = trace(
    model('experts', (m) => {
      const x = m.input('x', [m.symbol('T'), 12]);
      m.output('y', moe(m, x, { width: 12, experts: 6, kept: 2, inner: 10, activation: 'gelu' }));
    }),
  );
  const fused = textsOf(graph, 'fused');
  assert.match(
    fused,
    /^expert_linear .*: 2 of 6 experts per token, .* chose it \(.* f32\[T,2,10,12\] is never stored$/m,
  );
  assert.match(fused, /^expert_linear .* weighted and summed .* f32\[T,2,12,10\] is never stored$/m);
  assert.equal(notesOn(graph, 'left'), []);
});

const scores = (define: (x: Parameters<Parameters<typeof model>[1]>[0]) => void) => trace(model('scores', define));

test('softmax before topk', () => {
  const graph = scores((w) => {
    const x = w.input('x', [w.symbol('T'), 4]);
    w.output('y', topk(softmax(linear(x, w.weight('keys', [9, 4]))), { k: 2 })[0]);
  });
  assert.match(textsOf(graph, 'left'), /^topk .*softmax stands between the scores and topk/m);
});

test('keys of the step', () => {
  const graph = scores((w) => {
    const x = w.input('x', [w.symbol('T'), 4]);
    const keys = rmsNorm(w.input('keys', [9, 4]), w.weight('scale', [4]));
    w.output('y', topk(linear(x, keys), { k: 2 })[0]);
  });
  assert.match(
    textsOf(graph, 'left'),
    /not a contraction of a query with weight-only keys: input x and %norm_\d+ both depend/,
  );
});

test('rows that are copied out', () => {
  const graph = parse(`graph g {
    symbol T <= 8 step
    input %row : i32[T,6] below 16
    weight @values "values" : f32[16,8]
    step {
      %rows = gather @values, %row {equation="nd,tr->trd"}
      %y = reduce %rows {fn="max", axis=1}
    }
    output y = %y
  }`);
  assert.match(textsOf(graph, 'left'), /rows of weight "values" are copied to f32\[T,6,8\], because max reads them/);
});

test.run();
