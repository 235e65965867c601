// Textual form: round trip, and faults with their place.

import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Graph, parse, print } from '../../src/ir/index.ts';
import { UltramemError } from '../../src/support/errors.ts';
import { arbitraryGraph } from '../arbitrary-graph.ts';
import { seed } from '../settings.ts';

const example = `graph "toy model" {
  meta {"tokenizer":{"kind":"bytes","bos":256,"eos":[10]}}
  symbol T <= 16 step
  symbol S <= 4 session
  input %x : f32[T,3]  // model.ts:1:2
  input %sequence : i32[T] below S
  input %ids : i32[T] below 257
  weight @w "layers.0.w \\"odd\\"" : f32[4,3]  // dir/my model.ts:10:20
  weight @u "u" : bf16[4] optional in file
  weight @perm "shuffle" : i64[16] below 16
  state $window : f32[S,2,4]  // model.ts:5:1
  prepare {
    %w2 = unary @w {fn="neg"} : f32[4,3]  // model.ts:3:4
    %half = constant {dtype="f32", value=0.5} : f32[]
    %tiny = constant {dtype="f32", value=-1e-7} : f32[]
    %least = constant {dtype="f32", value=-Infinity} : f32[]
  }
  step {
    %y = einsum %x, %w2 {equation="tk,nk->tn"} : f32[T,4]
    %v, %i = topk %y {k=2} : f32[T,2], i32[T,2]
    %s = reshape %v {shape=["T",2,1]} : f32[T,2,1]
    %p = transpose %s {perm=[0,2,1]} : f32[T,1,2]
  }
  prepare {
    %u2 = cast @u {dtype="f32"} : f32[4]
  }
  output y = %p
  output "odd name" = %i
  tap mid.x = %w2
}
`;

test('the text of a graph reads back and prints the same', () => {
  assert.fixture(print(parse(example)), example);
  assert.equal(parse(print(parse(example))), parse(example));
});

test('what the text says', () => {
  const graph = parse(example);
  assert.is(graph.name, 'toy model');
  assert.equal(graph.weights[0]!.loc, { file: 'dir/my model.ts', line: 10, column: 20 });
  assert.is(graph.weights[1]!.optional, true);
  assert.is(graph.weights[2]!.below, 16);
  assert.equal(
    graph.weights.map(({ placement }) => placement),
    ['memory', 'file', 'memory'],
  );
  assert.is(graph.inputs[1]!.below, 'S');
  assert.is(graph.nodes[3]!.attrs.value, Number.NEGATIVE_INFINITY);
  assert.equal(
    graph.nodes.map((node) => node.stage).join(' '),
    'prepare prepare prepare prepare step step step step prepare',
  );
  assert.ok(Object.isFrozen(graph) && Object.isFrozen(graph.nodes[0]!.results[0]!.type.shape));
});

test('result types may be left out', () => {
  const short = example.replaceAll(/(%\w+ = \w+ .*?) : (?:f32|i32)\[.*?\](, i32\[.*?\])?/g, '$1');
  assert.ok(short.length < example.length);
  assert.equal(parse(short), parse(example));
});

test(`random graphs read back (seed ${seed})`, () => {
  const check = ({ graph }: { graph: Graph }) => assert.equal(parse(print(graph)), graph);
  fc.assert(fc.property(arbitraryGraph(), check), { seed, numRuns: 150 });
});

const faults: readonly [
  name: string,
  from: string,
  to: string,
  line: number,
  column: number,
  message: RegExp,
  hint?: RegExp,
][] = [
  ['unknown op', 'topk %y', 'topkk %y', 20, 14, /no op is called "topkk"/, /Did you mean "topk"/],
  ['unknown statement', 'weight @w', 'wieght @w', 8, 3, /no statement starts with "wieght"/, /Did you mean "weight"/],
  ['wrong stated type', ': f32[T,2], i32', ': f32[T,3], i32', 20, 30, /stated as f32\[T,3\], but it is f32\[T,2\]/],
  ['unknown value', '%x, %w2', '%x, %hlf', 19, 21, /value hlf is used before it is defined/, /Did you mean "half"/],
  ['unknown symbol', 'f32[T,3]  //', 'f32[U,3]  //', 5, 18, /no symbol is called "U"/],
  ['unknown dtype', ': bf16[4]', ': bf17[4]', 9, 19, /no element type is called "bf17"/, /Did you mean "bf16"/],
  ['defined twice', '%u2 = cast', '%y = cast', 25, 5, /value y is defined twice/],
  ['bad attribute', '{k=2}', '{k=9}', 20, 14, /topk keeps 9 of an axis of 4/, /k must be at most 4/],
  ['unknown attribute', '{k=2}', '{kk=2}', 20, 14, /topk has no attribute "kk"/, /topk has: k/],
  ['missing token', 'output y =', 'output y', 27, 12, /expected "="/],
  ['wrong sigil', 'weight @w', 'weight %w', 8, 10, /expected a value with @/],
  ['cut off', '  tap mid.x = %w2\n}\n', '  tap mid.x', 29, 12, /expected "=", found the end/],
  ['rest', 'tap mid.x = %w2\n}\n', 'tap mid.x = %w2\n}\nx', 31, 1, /expected the end of the text/],
  ['broken meta', '"bytes"', 'bytes', 2, 8, /expected JSON/],
];

for (const [name, from, to, line, column, message, hint] of faults) {
  test(`fault with its place: ${name}`, () => {
    assert.ok(example.includes(from), from);
    try {
      parse(example.replace(from, to));
      assert.unreachable('no fault');
    } catch (error) {
      if (!(error instanceof UltramemError)) throw error;
      assert.is(error.code, 'ir-syntax');
      assert.match(error.message, message);
      assert.equal({ line: error.facts.line, column: error.facts.column }, { line, column });
      if (hint) assert.match(error.hint ?? '', hint);
    }
  });
}

test('no text makes the parser fail in another way', () => {
  const cut = fc.tuple(fc.nat(example.length), fc.nat(60), fc.string({ maxLength: 8 }));
  const check = ([at, gone, put]: readonly [number, number, string]) => {
    try {
      parse(example.slice(0, at) + put + example.slice(at + gone));
    } catch (error) {
      assert.instance(error, UltramemError);
    }
  };
  fc.assert(fc.property(cut, check), { seed, numRuns: 600 });
});

test.run();
