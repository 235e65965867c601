// Storing floats as bf16: which values it takes, which stay f32, and that it means the same but for rounding.

import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import decoder from '../../examples/bytes-lm/model.ts';
import { fusedGraph, trace } from '../../src/compile.ts';
import { type Graph, parse, print, verify } from '../../src/ir/index.ts';
import { runPasses } from '../../src/passes/run-passes.ts';
import { storeNarrow } from '../../src/passes/store-narrow.ts';
import { storeWeightsNarrow } from '../../src/passes/store-weights-narrow.ts';
import { convert } from '../../src/runtime/convert.ts';
import { arbitraryGraph } from '../arbitrary-graph.ts';
import { seed } from '../settings.ts';
import { type Data, distance, outputsOf } from './meaning.ts';

const test = suite('storeNarrow');

/** The same data for a graph whose weights are stored otherwise. */
const stored = (graph: Graph, data: Data): Data => {
  const given = (name: string) =>
    data.weights instanceof Map ? data.weights.get(name) : Reflect.get(data.weights, name);
  return { ...data, weights: new Map(graph.weights.map(({ name, type }) => [name, convert(given(name), type.dtype)])) };
};

test('weights, caches and values of a decoder are narrow; what crosses the border and what choices hang on is not', () => {
  const traced = trace(decoder);
  const graph = fusedGraph(traced, { precision: 'bf16', target: 'cuda' });
  const results = graph.nodes
    .filter(({ stage }) => stage === 'step')
    .flatMap((node) => node.results.map((r) => ({ node, r })));
  const wide = new Set(results.filter(({ r }) => r.type.dtype === 'f32').map(({ node }) => node.op));
  assert.equal(
    [...wide].sort(),
    ['add_norm', 'binary', 'einsum', 'rescore_topk', 'reshape', 'score_topk'],
    'residuals, logits, scores',
  );
  assert.equal(
    graph.outputs.map(({ value }) => results.find(({ r }) => r.id === value)!.r.type.dtype),
    ['f32'],
  );
  assert.ok(graph.states.every(({ type }) => type.dtype === 'bf16'));
  const table = graph.weights.find(({ name }) => name.endsWith('values_for_look_up'))!;
  assert.is(table.type.dtype, 'bf16');
  // Prepare norms keys in f32, from the f32 of the checkpoint where no step reads them.
  const keys = graph.weights.find(({ name }) => name.endsWith('0.keys'))!;
  assert.is(keys.type.dtype, 'f32');
  assert.is(storeNarrow(graph).nodes.length, graph.nodes.length, 'a second run has nothing left to store narrow');
});

test('a weight that prepare computes with and steps read is narrow for both, from one place', () => {
  const graph = parse(`graph both {
  symbol T <= 8 step
  input %x : f32[T,4]
  weight @w "w" : f32[3,4]
  prepare {
    %n = binary @w, @w {fn="mul"} : f32[3,4]
  }
  step {
    %y = einsum %x, @w {equation="tk,nk->tn"} : f32[T,3]
    %z = einsum %x, %n {equation="tk,nk->tn"} : f32[T,3]
  }
  output y = %y
  output z = %z
}
`);
  const narrow = verify(storeNarrow(graph));
  const text = print(narrow);
  assert.match(text, '@w "w" : bf16[3,4]');
  assert.match(text, /%w\.f32 = cast @w \{dtype="f32"\}/);
  assert.match(text, /%n\.bf16 = cast %n \{dtype="bf16"\}/);
  assert.match(text, /%z = einsum %x, %n\.bf16/);
});

test('for the CPU, what steps multiply with or gather from is narrow; what they compute is not', () => {
  const graph = fusedGraph(trace(decoder), { precision: 'bf16', target: 'cpu' });
  const step = graph.nodes.filter(({ stage }) => stage === 'step');
  const narrow = step.flatMap(({ op, results }) => results.filter(({ type }) => type.dtype === 'bf16').map(() => op));
  assert.equal(narrow, ['gather'], 'the rows of the embedding, which are cast');
  assert.ok(graph.states.every(({ type }) => type.dtype === 'f32'));
  const dtypes = new Map(
    graph.weights.map(({ name, type }) => [name.replace(/^transformer\.blocks\.\d+\./, ''), type.dtype]),
  );
  assert.equal([dtypes.get('att_proj.weight'), dtypes.get('attn_norm.weight')], ['bf16', 'f32']);
  assert.is(graph.weights.find(({ name }) => name.endsWith('values_for_look_up'))!.type.dtype, 'bf16');
  const folded = step.find(({ op }) => op === 'score_topk')!.inputs[1]!;
  assert.match(folded, /\.bf16$/, 'keys that prepare folds in f32 are cast');
  assert.is(
    storeWeightsNarrow(graph).nodes.length,
    graph.nodes.length,
    'a second run has nothing left to store narrow',
  );
});

test('for the CPU, a weight that other steps want wide is cast for those', () => {
  const graph = parse(`graph both {
  symbol T <= 8 step
  input %x : f32[T,4]
  input %i : i32[T]
  weight @w "w" : f32[3,4]
  weight @v "v" : f32[4]
  step {
    %y = einsum %x, @w {equation="tk,nk->tn"} : f32[T,3]
    %r = gather @w, %i {equation="nd,t->td"} : f32[T,4]
    %z = binary %r, @v {fn="mul"} : f32[T,4]
  }
  output y = %y
  output z = %z
}
`);
  const text = print(verify(storeWeightsNarrow(graph)));
  for (const line of [
    '@w "w" : bf16[3,4]',
    '@v "v" : f32[4]',
    '%r = gather @w, %i {equation="nd,t->td"} : bf16[T,4]',
    '%r.f32 = cast %r {dtype="f32"} : f32[T,4]',
    '%z = binary %r.f32, @v',
  ])
    assert.match(text, line);
});

for (const pass of [storeNarrow, storeWeightsNarrow]) {
  test(`${pass.name} on random graphs: well formed, read back from its text, and off by roundings alone`, () => {
    fc.assert(
      fc.property(arbitraryGraph(), (random) => {
        const { graph } = runPasses(random.graph);
        const narrow = verify(pass(graph));
        assert.equal(parse(print(narrow)), narrow);
        // A choice between values that rounding brings together may fall otherwise.
        if (graph.nodes.some(({ op }) => /topk|max/.test(op))) return;
        const wanted = outputsOf(graph, random);
        const got = outputsOf(narrow, stored(narrow, random));
        for (const [i, [name, tensor]] of wanted.entries()) {
          const error = distance(got[i]![1], tensor);
          assert.ok(tensor.dtype !== 'f32' || error <= 0.1, `output ${name} is off by ${error}\n${print(narrow)}`);
        }
      }),
      { seed, numRuns: 60 },
    );
  });
}

test.run();
