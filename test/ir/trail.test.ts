// The trail of rewrites: what a rewriter tells of its edits, what comes of several in a row, and that none can be left out.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Graph, parse, Rewriter, Trail } from '../../src/ir/index.ts';
import { InvariantError } from '../../src/support/errors.ts';

const test = suite('trail');

const source = parse(`graph source {
  symbol T <= 8 step
  input %x : f32[T,4]
  weight @w "w" : f32[4]
  step {
    %two = constant {value=2, dtype="f32"}
    %a = unary %x {fn="neg"}
    %v = reshape %a {shape=["T",2,2]}
    %b = unary %v {fn="exp"}
    %c = binary %b, %two {fn="mul"}
    %d = reshape %c {shape=["T",4]}
    %e = binary %d, @w {fn="add"}
    %f = binary %e, %x {fn="mul"}
    %unread = unary %e {fn="abs"}
  }
  output f = %f
}`);

const nodeOf = (graph: Graph, result: string) =>
  graph.nodes.find((node) => node.results.some(({ id }) => id === result))!;
const sourcesOf = (trail: Trail, id: string): string[] =>
  [...trail.originOf(id).sources].map(({ results }) => results[0]!.id).sort();

/** A graph after edits, and the trail that followed them. */
function edited(edit: (rewriter: Rewriter) => void, graph = source, trail = new Trail(graph)): [Graph, Trail] {
  trail.enter('edit');
  const rewriter = new Rewriter(graph, trail);
  edit(rewriter);
  return [rewriter.finish(), trail];
}

test('at first every node stands for itself, made by nobody', () => {
  const trail = new Trail(source);
  for (const node of source.nodes) {
    assert.equal([...trail.originOf(node.results[0]!.id).sources], [node]);
    assert.equal(trail.originOf(node.results[0]!.id).passes, []);
  }
  assert.is(trail.graph, source);
});

/** exp(x)·2 as one node, behind the views that it reads and writes through. */
function fuse(rewriter: Rewriter): void {
  const like = nodeOf(rewriter.graph, 'd');
  const by = rewriter.addOne('elementwise', ['a'], { expr: 'mul(exp(a),2)' }, like, 'fused');
  rewriter.replaceNode(like, [by]);
}

test('a new node stands for what lies between its operands and what it replaces, and for constants that go with it', () => {
  const [graph, trail] = edited(fuse);
  assert.equal(sourcesOf(trail, 'fused'), ['b', 'c', 'd', 'two', 'v']);
  assert.equal(trail.originOf('fused').passes, ['edit']);
  assert.equal(sourcesOf(trail, 'a'), ['a']);
  assert.equal(sourcesOf(trail, 'e'), ['e'], 'its operand was replaced, it was not');
  assert.equal(trail.originOf('e').passes, []);
  assert.is(trail.graph, graph);
});

test('what no output depends on any more is gone, with the reason', () => {
  const [, trail] = edited(fuse);
  assert.equal(trail.removalOf(nodeOf(source, 'unread')), { why: 'unused' });
  for (const id of ['a', 'b', 'two', 'v']) assert.is(trail.removalOf(nodeOf(source, id)), undefined, id);
});

test('origins add up over rewrites', () => {
  const [once, trail] = edited(fuse);
  const [twice] = edited(
    (rewriter) => {
      trail.enter('again');
      const like = nodeOf(once, 'e');
      rewriter.replaceNode(like, [
        rewriter.addOne('elementwise', ['a', 'w'], { expr: 'add(mul(exp(a),2),b)' }, like, 'all'),
      ]);
    },
    once,
    trail,
  );
  assert.equal(sourcesOf(trail, 'all'), ['b', 'c', 'd', 'e', 'two', 'v']);
  assert.equal(trail.originOf('all').passes, ['edit', 'again']);
  assert.is(trail.graph, twice);
});

test('of several new nodes each stands for what depends on its own operands; views beside them stand for none', () => {
  const [, trail] = edited((rewriter) => {
    const like = nodeOf(rewriter.graph, 'f');
    const left = rewriter.addOne('elementwise', ['a'], { expr: 'mul(exp(a),2)' }, like, 'left');
    const view = rewriter.addOne('reshape', [left], { shape: ['T', 4] }, like, 'view');
    const sum = rewriter.addOne('binary', [view, 'w'], { fn: 'add' }, like, 'sum');
    rewriter.replaceNode(like, [rewriter.addOne('binary', [sum, 'x'], { fn: 'mul' }, like, 'product')]);
  });
  // `left` reads %a alone, yet all behind %a depends on it.
  assert.equal(sourcesOf(trail, 'left'), ['b', 'c', 'd', 'e', 'f', 'two', 'v']);
  assert.equal(sourcesOf(trail, 'sum'), ['b', 'c', 'd', 'e', 'f', 'two', 'v']);
  assert.equal(sourcesOf(trail, 'view'), []);
});

test('a node that others still read stays itself, and is computed by the new one as well', () => {
  const [, trail] = edited(
    (rewriter) => {
      const like = nodeOf(rewriter.graph, 'f');
      rewriter.replaceNode(like, [
        rewriter.addOne('elementwise', ['d', 'w', 'x'], { expr: 'mul(add(a,b),c)' }, like, 'own'),
      ]);
    },
    parse(printedWith('output e = %e')),
  );
  assert.equal(sourcesOf(trail, 'own'), ['e', 'f']);
  assert.equal(sourcesOf(trail, 'e'), ['e']);
});

const printedWith = (line: string): string => `graph source {
  symbol T <= 8 step
  input %x : f32[T,4]
  weight @w "w" : f32[4]
  step {
    %d = unary %x {fn="neg"}
    %e = binary %d, @w {fn="add"}
    %f = binary %e, %x {fn="mul"}
  }
  output f = %f
  ${line}
}`;

test('a value that another has already is the same as that', () => {
  const graph = parse(`graph twice {
  symbol T <= 8 step
  input %x : f32[T,4]
  step {
    %a = unary %x {fn="exp"}
    %b = unary %x {fn="exp"}
    %c = binary %a, %b {fn="add"}
  }
  output c = %c
}`);
  const [, trail] = edited((rewriter) => rewriter.replaceNode(nodeOf(graph, 'b'), ['a']), graph);
  assert.equal(sourcesOf(trail, 'a'), ['a']);
  assert.equal(trail.removalOf(nodeOf(graph, 'b')), { why: 'same', as: 'a' });
});

test('a graph that it was not told of is a bug', () => {
  const [once, trail] = edited(fuse);
  assert.throws(
    () => new Rewriter(source, trail).finish() === source && edited(fuse, source, trail),
    (e: Error) => e instanceof InvariantError,
  );
  assert.is(trail.graph, once);
});

test.run();
