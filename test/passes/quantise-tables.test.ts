// Tables as bytes with a scale per row: which weights it takes, where their scales go, and that it means the same but for rounding.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import decoder from '../../examples/bytes-lm/model.ts';
import { fusedGraph, trace } from '../../src/compile.ts';
import { describeGraph } from '../../src/interpret-engine.ts';
import { Interpreter, parse, print, verify } from '../../src/ir/index.ts';
import { quantiseTables } from '../../src/passes/quantise-tables.ts';
import { matchWeights, readWeights } from '../../src/runtime/weights.ts';
import { Random } from '../random.ts';
import { relativeL2 } from '../reference/golden.ts';
import { seed } from '../settings.ts';

const test = suite('quantiseTables');

test('the value tables of a decoder, whatever else is stored narrow; embeddings that a product reads stay', () => {
  for (const precision of ['f32', 'bf16'] as const) {
    for (const target of ['cpu', 'cuda'] as const) {
      const graph = fusedGraph(trace(decoder), { precision, target, tables: 'int8' });
      const narrow = graph.weights.filter(({ type }) => type.dtype === 'i8');
      assert.equal(
        narrow.map(({ name }) => name),
        [0, 1].map((n) => `transformer.mem_blocks.${n}.values_for_look_up`),
      );
      for (const { name, type } of narrow) {
        const scale = graph.weights.find((weight) => weight.name === `${name}.scale`)!;
        assert.equal(scale.type, { dtype: 'f32', shape: [type.shape[0]] });
      }
      const pools = graph.nodes.filter(({ op }) => op === 'gather_pool');
      assert.equal(
        pools.map(({ inputs }) => inputs.length),
        [4, 4],
      );
      assert.is(quantiseTables(graph, 'i8'), graph, 'nothing is left for a second run');
    }
  }
});

const text = `graph rows {
  symbol T <= 8 step
  input %x : f32[T,4]
  input %i : i32[T,3] below 10
  input %s : f32[T,3,2]
  weight @pooled "pooled" : f32[10,4]
  weight @dotted "dotted" : f32[10,4]
  weight @copied "copied" : f32[10,4]
  weight @shared "shared" : f32[10,4]
  weight @column "column" : f32[10,4]
  prepare {
    %keys = reshape @dotted {shape=[1,10,1,4]} : f32[1,10,1,4]
  }
  step {
    %a = gather_pool @pooled, %i, %s {groups=1} : f32[T,1,4]
    %h = reshape %i {shape=["T",1,3]} : i32[T,1,3]
    %b = gather_dot %x, %keys, %h : f32[T,1,3,1]
    %c = gather @copied, %i {equation="nd,tm->tmd"} : f32[T,3,4]
    %d = gather @shared, %i {equation="nd,tm->tmd"} : f32[T,3,4]
    %e = einsum %x, @shared {equation="tk,nk->tn"} : f32[T,10]
    %f = gather @column, %i {equation="nd,tm->tdm"} : f32[T,4,3]
  }
  output a = %a
  output b = %b
  output c = %c
  output d = %d
  output e = %e
  output f = %f
}
`;

test('rows that are pooled, multiplied and copied; not where whole columns or products are read', () => {
  const narrow = print(verify(quantiseTables(parse(text), 'f8')));
  for (const name of ['pooled', 'dotted', 'copied']) {
    assert.match(narrow, `@${name} "${name}" : f8[10,4]`);
    assert.match(narrow, `@${name}.scale "${name}.scale" : f32[10]`);
  }
  for (const name of ['shared', 'column']) assert.match(narrow, `@${name} "${name}" : f32[10,4]`);
  assert.match(narrow, /%a = gather_pool @pooled, %i, %s, @pooled\.scale \{groups=1\} : f32/);
  assert.match(narrow, /%keys\.scale = reshape @dotted\.scale \{shape=\[1,10,1\]\} : f32\[1,10,1\]/);
  assert.match(narrow, /%b = binary %b\.dots, %b\.scales \{fn="mul"\} : f32\[T,1,3,1\]/);
  assert.match(narrow, /%c = binary %c\.wide, %c\.factors \{fn="mul"\} : f32\[T,3,4\]/);
  assert.equal(print(parse(narrow)), narrow);
});

test('what a quantised graph computes is that of the floats, as far as their bytes say', async () => {
  const random = new Random(seed, 'rows');
  const graph = parse(text);
  const weights = Object.fromEntries(graph.weights.map(({ name, type }) => [name, random.f32(type.shape as number[])]));
  const inputs = { x: random.f32([5, 4]), i: random.i32([5, 3], 10), s: random.f32([5, 3, 2]) };
  const exact = new Interpreter(graph, { weights }).step(inputs).outputs;
  for (const [dtype, bound] of [
    ['i8', 0.02],
    ['f8', 0.1],
  ] as const) {
    const narrow = quantiseTables(graph, dtype);
    const held = await readWeights(await matchWeights(describeGraph(narrow), weights));
    const got = new Interpreter(narrow, { weights: held }).step(inputs).outputs;
    for (const name of ['a', 'b', 'c']) {
      const error = relativeL2(got[name]!, exact[name]!);
      assert.ok(error < bound && error > 0, `${dtype}, ${name}: ${error}`);
    }
    assert.equal([got.d, got.e, got.f], [exact.d, exact.e, exact.f]);
  }
});

test.run();
