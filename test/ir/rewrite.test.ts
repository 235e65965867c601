// The rewriter that passes edit graphs with, and the maps they look things up in.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Graph, matches, parse, print, Rewriter, Uses, verify } from '../../src/ir/index.ts';

const source = parse(`graph source {
  symbol T <= 8 step
  input %x : f32[T,4]
  weight @w "w" : f32[3,4]
  weight @v "v" : f32[3,4]
  step {
    %a = unary %x {fn="neg"}  // model.ts:1:1
    %b = unary %a {fn="neg"}  // model.ts:2:1
    %n = unary @w {fn="abs"}  // model.ts:3:1
    %y = einsum %b, %n {equation="tk,nk->tn"}  // model.ts:4:1
    %values, %index = topk %y {k=2}  // model.ts:5:1
    %dead = unary %y {fn="exp"}  // model.ts:6:1
  }
  output y = %y
  output best = %values
  tap a = %a
  tap b = %b
  tap n = %n
  tap dead = %dead
}`);

const nodeOf = (graph: Graph, result: string) =>
  graph.nodes.find((node) => node.results.some(({ id }) => id === result))!;
const step = (graph: Graph) => graph.nodes.map((node) => node.results.map(({ id }) => id).join('+')).join(' ');

test('no edits, same graph', () => {
  assert.is(new Rewriter(source).finish(), source);
});

test('a replaced value takes its outputs and taps along; what nobody reads goes, with its taps', () => {
  const rewriter = new Rewriter(source);
  rewriter.replaceValue('b', 'x');
  const result = verify(rewriter.finish());
  assert.is(step(result), 'n y values+index');
  assert.equal(result.taps, [
    { name: 'b', value: 'x' },
    { name: 'n', value: 'n' },
  ]);
  assert.equal(nodeOf(result, 'y').inputs, ['x', 'n']);
  assert.ok(Object.isFrozen(result) && Object.isFrozen(result.nodes));
  assert.is(source.nodes.length, 6, 'the source stays');
});

test('replacements chain', () => {
  const rewriter = new Rewriter(source);
  rewriter.replaceValue('b', 'a');
  rewriter.replaceValue('a', 'x');
  assert.is(rewriter.current('b'), 'x');
  assert.equal(nodeOf(verify(rewriter.finish()), 'y').inputs, ['x', 'n']);
});

test('an added node stands before its first user, with place, stage and a fresh id', () => {
  const rewriter = new Rewriter(source);
  const y = nodeOf(source, 'y');
  const summed = rewriter.addOne('binary', ['w', 'v'], { fn: 'add' }, y, 'n');
  assert.is(summed, 'n_1');
  rewriter.replaceNode(nodeOf(source, 'n'), [summed]);
  const result = verify(rewriter.finish());
  assert.is(step(result), 'a b n_1 y values+index');
  assert.equal(nodeOf(result, 'n_1').loc, { file: 'model.ts', line: 4, column: 1 });
  assert.equal(
    result.taps.find((tap) => tap.name === 'n'),
    { name: 'n', value: 'n_1' },
  );
});

test('several results are replaced in order', () => {
  const rewriter = new Rewriter(source);
  const node = nodeOf(source, 'values');
  rewriter.replaceNode(node, rewriter.add('topk', ['y'], { k: 2 }, node));
  const result = verify(rewriter.finish());
  assert.equal(result.outputs[1], { name: 'best', value: 'values_1' });
});

test('prepare nodes come first', () => {
  const rewriter = new Rewriter(source);
  rewriter.setStage(nodeOf(source, 'n'), 'prepare');
  const result = verify(rewriter.finish());
  assert.is(step(result), 'n a b y values+index');
  assert.is(nodeOf(result, 'n').stage, 'prepare');
});

test('misuse is a bug', () => {
  const bug = /ultramem bug/;
  assert.throws(() => new Rewriter(source).replaceValue('y', 'x'), bug);
  assert.throws(() => new Rewriter(source).replaceValue('a', 'a'), bug);
  const lost = new Rewriter(source);
  lost.remove(nodeOf(source, 'y'));
  assert.throws(() => lost.finish(), bug);
  assert.throws(
    () => new Rewriter(source).add('topk', ['y'], { k: 9 }, nodeOf(source, 'y')),
    /topk keeps 9 of an axis of 3/,
  );
});

test('uses: makers, users, constants', () => {
  const uses = new Uses(source);
  assert.is(uses.producer('index'), uses.producer('values'));
  assert.is(uses.producer('x'), undefined);
  assert.is(uses.leaf('w')?.kind, 'weight');
  assert.equal(
    uses.users('y').map((node) => node.op),
    ['topk', 'unary'],
  );
  assert.is(uses.singleUser('b')?.op, 'einsum');
  assert.is(uses.singleUser('y'), undefined, 'an output');
  assert.is(uses.isUnused('index'), true);
  assert.is(uses.isUnused('dead'), true);
  assert.is(uses.isUnused('values'), false);
  assert.equal(
    ['n', 'w', 'x', 'y'].map((id) => uses.isConstant(id)),
    [true, true, false, false],
  );
  assert.is(uses.made('a', 'unary', { fn: 'neg' })?.inputs[0], 'x');
  assert.is(uses.made('a', 'unary', { fn: 'exp' }), undefined);
  assert.is(uses.made('a', 'einsum'), undefined);
  assert.is(matches(nodeOf(source, 'y'), 'einsum')?.attrs.equation, 'tk,nk->tn');
});

test('attributes are typed by kind', () => {
  const rewriter = new Rewriter(source);
  const like = nodeOf(source, 'y');
  // @ts-expect-error: topk has k
  assert.throws(() => rewriter.add('topk', ['y'], { n: 2 }, like), /topk has no attribute "n"/);
  // @ts-expect-error: no such function
  assert.throws(() => rewriter.add('unary', ['y'], { fn: 'cbrt' }, like), /bad "fn"/);
  // @ts-expect-error: no such op
  assert.throws(() => rewriter.add('cbrt', ['y'], {}, like), /no op is called "cbrt"/);
});

test('the printed form of an edited graph reads back', () => {
  const rewriter = new Rewriter(source);
  rewriter.replaceValue('b', 'x');
  const result = rewriter.finish();
  assert.equal(parse(print(result)), result);
});

test.run();
