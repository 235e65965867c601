// The verifier names every broken rule of a graph, and lets well-formed ones pass.

import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { faultsOf, type Graph, type Node, parse, verify } from '../../src/ir/index.ts';
import { UltramemError } from '../../src/support/errors.ts';
import { arbitraryGraph } from '../arbitrary-graph.ts';
import { seed } from '../settings.ts';

const sound = parse(`graph sound {
  symbol T <= 8 step
  symbol S <= 2 session
  input %x : f32[T,4]
  input %positions : i32[T]
  input %sequence : i32[T] below S
  weight @w "w" : f32[4,3]
  weight @u "u" : f32[3]
  state $window : f32[S,2,4]
  prepare {
    %n = unary @u {fn="neg"} : f32[3]
  }
  step {
    %c = causal_conv %x, @w, %positions, %sequence, $window : f32[T,4]
    %y = einsum %c, @w {equation="tk,kn->tn"} : f32[T,3]
    %z = binary %y, %n {fn="mul"} : f32[T,3]
  }
  output z = %z
  tap y = %y
}`);

/** The graph with one node changed. */
const withNode = (result: string, change: Partial<Node>): Graph => ({
  ...sound,
  nodes: sound.nodes.map((node) => (node.results[0]!.id === result ? { ...node, ...change } : node)),
});

const faults: readonly [name: string, graph: Graph, fault: RegExp][] = [
  ['unknown op', withNode('n', { op: 'unari' }), /no op is called "unari"; nearest: unary/],
  ['unknown attribute', withNode('n', { attrs: { fn: 'neg', k: 1 } }), /unary has no attribute "k"/],
  ['missing attribute', withNode('n', { attrs: {} }), /unary lacks its attribute "fn"/],
  [
    'wrong type',
    withNode('z', { results: [{ id: 'z', type: { dtype: 'f32', shape: ['T', 4] } }] }),
    /z is stated as f32\[T,4\], but is f32\[T,3\]/,
  ],
  [
    'too many results',
    withNode('z', { results: [...sound.nodes[3]!.results, { id: 'q', type: sound.inputs[0]!.type }] }),
    /2 results, not 1/,
  ],
  ['operand misfit', withNode('z', { inputs: ['x', 'n'] }), /shapes do not broadcast/],
  ['undefined operand', withNode('z', { inputs: ['y', 'gone'] }), /operand gone is not defined before it/],
  ['use before definition', { ...sound, nodes: sound.nodes.toReversed() }, /operand y is not defined before it/],
  ['prepare on an input', withNode('c', { stage: 'prepare' }), /a prepare node reads x, which is no prepare value/],
  ['prepare on a step value', withNode('z', { stage: 'prepare' }), /a prepare node reads y/],
  [
    'state as a value',
    withNode('n', { inputs: ['window'], results: [{ id: 'n', type: sound.states[0]!.type }] }),
    /state window where a value belongs/,
  ],
  [
    'value as a state',
    withNode('c', { inputs: ['x', 'w', 'positions', 'sequence', 'w'] }),
    /operand w where a state belongs/,
  ],
  [
    'state used twice',
    { ...sound, nodes: [...sound.nodes, { ...sound.nodes[1]!, results: [{ id: 'c2', type: sound.inputs[0]!.type }] }] },
    /state window is used a second time, after c/,
  ],
  ['state as output', { ...sound, outputs: [{ name: 'z', value: 'window' }] }, /output z: window is a state/],
  ['undefined output', { ...sound, outputs: [{ name: 'z', value: 'gone' }] }, /output z: value gone is not defined/],
  ['undefined tap', { ...sound, taps: [{ name: 'y', value: 'gone' }] }, /tap y: value gone is not defined/],
  ['no outputs', { ...sound, outputs: [] }, /no outputs/],
  ['two outputs of one name', { ...sound, outputs: [...sound.outputs, ...sound.outputs] }, /two outputs are called z/],
  [
    'two weights of one name',
    { ...sound, weights: [...sound.weights, { ...sound.weights[0]!, id: 'w_1' }] },
    /two weights are called w/,
  ],
  [
    'value defined twice',
    { ...sound, inputs: [...sound.inputs, { ...sound.inputs[0]!, id: 'w' }] },
    /value w is defined twice/,
  ],
  ['bad id', { ...sound, inputs: [...sound.inputs, { ...sound.inputs[0]!, id: 'a b' }] }, /"a b" is no value id/],
  ['undeclared symbol', { ...sound, symbols: sound.symbols.slice(0, 1) }, /symbol S is not declared/],
  [
    'bad size',
    { ...sound, inputs: [...sound.inputs, { ...sound.inputs[0]!, id: 'q', type: { dtype: 'f32', shape: [1.5] } }] },
    /1.5 is no size/,
  ],
  [
    'weight of no known placement',
    { ...sound, weights: sound.weights.map((weight) => ({ ...weight, placement: 'disk' as 'file' })) },
    /no placement is called disk/,
  ],
  [
    'index table in a file',
    { ...sound, weights: sound.weights.map((weight) => ({ ...weight, placement: 'file' as const, below: 4 })) },
    /stays in its file, where nothing checks/,
  ],
  [
    'weight of no fixed size',
    {
      ...sound,
      weights: [...sound.weights, { ...sound.weights[0]!, id: 'q', name: 'q', type: { dtype: 'f32', shape: ['T'] } }],
    },
    /a weight has no symbolic dims/,
  ],
];

test('a sound graph has no faults', () => {
  assert.equal(faultsOf(sound), []);
  assert.is(verify(sound), sound);
});

for (const [name, graph, fault] of faults) {
  test(`fault: ${name}`, () => {
    const found = faultsOf(graph);
    assert.ok(
      found.some((line) => fault.test(line)),
      `found only: ${found.join('; ')}`,
    );
    assert.throws(
      () => verify(graph),
      (error: unknown) => error instanceof UltramemError && error.code === 'bad-graph',
    );
  });
}

test(`random graphs are sound (seed ${seed})`, () => {
  fc.assert(
    fc.property(arbitraryGraph(), ({ graph }) => assert.equal(faultsOf(graph), [])),
    { seed, numRuns: 100 },
  );
});

test.run();
