// Tracing: places, names, and that one run finds every fault.

import {
  add,
  constant,
  DiagnosticsError,
  layerNorm,
  linear,
  type ModelContext,
  model,
  rmsNorm,
  silu,
  split,
  topk,
  trace,
  traceCalls,
} from 'ultramem';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import bytesLm from '../../examples/bytes-lm/model.ts';
import relatives from '../../examples/relatives.ts';
import tuckerSoftmax from '../../examples/variants/tucker-softmax.ts';
import { parse } from '../../src/ir/parse.ts';
import { print } from '../../src/ir/print.ts';

const test = suite('trace');

const faultsOf = (define: (m: ModelContext) => void): DiagnosticsError => {
  try {
    trace(model('faulty', define));
  } catch (error) {
    if (error instanceof DiagnosticsError) return error;
    throw error;
  }
  throw new Error('the trace found no fault');
};

/** Line of this file that holds the text. */
const lineHere = (stack: string | undefined): number => Number(/trace\.test\.ts:(\d+)/.exec(stack ?? '')?.[1]);

test('nodes, weights and inputs carry the place of the call, relative to the model', () => {
  let line = 0;
  const graph = trace(
    model('places', (m) => {
      line = lineHere(new Error().stack);
      const x = m.input('x', [m.symbol('T'), 8]);
      m.output('y', silu(linear(x, m.weight('w', [4, 8]))));
    }),
  );
  const file = 'trace.test.ts';
  assert.equal(graph.inputs[0]!.loc, { file, line: line + 1, column: 19 });
  assert.equal(graph.weights[0]!.loc, { file, line: line + 2, column: 38 });
  assert.equal(
    graph.nodes.map((node) => node.loc),
    [
      { file, line: line + 2, column: 26 },
      { file, line: line + 2, column: 21 },
    ],
  );
});

test('a graph is frozen data that reads back from its text, the same every time', () => {
  for (const each of [bytesLm, tuckerSoftmax]) {
    const graph = trace(each);
    assert.ok(Object.isFrozen(graph) && Object.isFrozen(graph.nodes) && Object.isFrozen(graph.nodes[0]!.attrs));
    assert.equal(parse(print(graph)), graph);
    assert.is(print(trace(each)), print(graph));
    assert.equal(JSON.parse(JSON.stringify(graph)).nodes.length, graph.nodes.length);
  }
});

test('inputs, weights and states share no names by accident', () => {
  const graph = trace(
    model('names', (m) => {
      const weight = m.weight('x', [8]);
      m.state('state', [4]);
      m.output('y', rmsNorm(m.input('x', [m.symbol('T'), 8]), weight));
    }),
  );
  assert.equal([graph.inputs[0]!.id, graph.weights[0]!.name, graph.states[0]!.id], ['x', 'x', 'state']);
  assert.not.equal(graph.weights[0]!.id, 'x');
});

test('all faults of a definition come at once, and what follows from one is not another', () => {
  const error = faultsOf((m) => {
    const x = m.input('x', [m.symbol('T'), 8]);
    const bad = linear(x, m.weight('a', [4, 9]));
    const [q, k] = split(rmsNorm(bad, m.weight('b', [4])), [1, 3]);
    const [values] = topk(add(q, k), { k: 2 });
    m.tap('values', values);
    m.output('y', layerNorm(x, m.weight('c', [7])));
    m.output('z', values);
  });
  assert.is(error.code, 'model-errors');
  assert.equal(
    error.diagnostics.map(({ code, loc }) => [code, loc!.line - error.diagnostics[0]!.loc!.line]),
    [
      ['wrong-shape', 0],
      ['wrong-shape', 4],
    ],
  );
  assert.match(error.message, /2 errors/);
  assert.is(JSON.parse(JSON.stringify(error)).details.diagnostics.length, 2);
});

test('an exception of the definition passes through, unless a fault came before it', () => {
  const own = new RangeError('of the user');
  const throwing = model('throwing', () => {
    throw own;
  });
  assert.throws(
    () => trace(throwing),
    (error: unknown) => error === own,
  );
  const error = faultsOf((m) => {
    linear(m.input('x', [m.symbol('T'), 8]), m.weight('a', [4, 9]));
    throw own;
  });
  assert.equal(
    error.diagnostics.map((d) => d.code),
    ['wrong-shape'],
  );
});

test('a trace that ends in an exception leaves no trace running', () => {
  const own = new RangeError('of the user');
  const throwing = model('throwing', () => {
    throw own;
  });
  assert.throws(() => trace(throwing));
  assert.throws(
    () => constant(1),
    (error: { code?: string }) => error.code === 'outside-model',
  );
});

test('excerpts are left out where the source cannot be read, and tabs keep the caret in its column', () => {
  const error = faultsOf((m) => {
    m.output('y', linear(m.input('x', [m.symbol('T'), 8]), m.weight('a', [4, 9])));
  });
  assert.match(error.render(), /--> .*trace\.test\.ts:\d+:\d+\n {2}got f32\[T,8\], wanted/);
  const { line, column } = error.diagnostics[0]!.loc!;
  const source = `${'\n'.repeat(line - 1)}\t\t${'x'.repeat(column)}`;
  const caret = error.render({ source: () => source }).split('\n')[3]!;
  assert.is(caret.indexOf('^'), caret.indexOf('\t') + column - 1);
});

test('the calls that led to a node: from the inside out, through presets and callbacks of the user', () => {
  const { graph, calls } = traceCalls(relatives);
  assert.equal(graph, trace(relatives));
  const topk = graph.nodes.filter(({ op }) => op === 'topk').at(-1)!;
  const path = calls
    .get(topk.results[0]!.id)!
    .map(({ file, preset }) => `${preset ? 'preset ' : ''}${file.split('/').at(-1)}`);
  // PEER, called back by the decoder, which the model calls.
  assert.equal(path.slice(0, 3), ['preset product-keys.ts', 'preset pkm.ts', 'preset peer.ts']);
  assert.equal(
    path.filter((file) => !file.startsWith('preset')),
    ['relatives.ts', 'relatives.ts'],
  );
  assert.ok(path.indexOf('relatives.ts') < path.indexOf('preset decoder.ts'));
  for (const { loc, results } of graph.nodes) {
    const user = calls.get(results[0]!.id)!.find(({ preset }) => !preset)!;
    assert.equal(
      [loc!.line, loc!.column],
      [user.line, user.column],
      'the place of a node is the first call of the user',
    );
  }
});

test.run();
