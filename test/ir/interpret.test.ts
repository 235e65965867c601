// The interpreter: stages, states, symbols, taps, and what it refuses.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Interpreter, interpret, parse } from '../../src/ir/index.ts';
import { UltramemError } from '../../src/support/errors.ts';
import { type Tensor, tensor } from '../../src/support/tensor.ts';

const f32 = (shape: number[], ...data: number[]) => tensor('f32', shape, Float32Array.from(data));
const i32 = (shape: number[], ...data: number[]) => tensor('i32', shape, Int32Array.from(data));
const values = (x: Tensor | undefined) => Array.from(x?.data ?? [], Number);

/** y[t] = x[t] − x[t−1] by a convolution with weight (−1, 1), times a prepared factor. */
const difference = parse(`graph difference {
  symbol T <= 4 step
  symbol S <= 8 session
  input %x : f32[T,1]
  input %positions : i32[T]
  input %sequence : i32[T] below S
  weight @w "w" : f32[1,2]
  weight @bias "bias" : f32[1] optional
  state $window : f32[S,1,1]
  prepare {
    %two = constant {value=2, dtype="f32"}
    %w2 = binary @w, %two {fn="mul"}
  }
  step {
    %c = causal_conv %x, %w2, %positions, %sequence, $window
    %y = binary %c, @bias {fn="add"}
    %unused = unary %c {fn="exp"}
  }
  output y = %y
  tap c = %c
  tap w2 = %w2
}`);

const weights = { w: f32([1, 2], -1, 1) };
const step = (x: number[], positions: number[], sequence: number[]) => ({
  x: f32([x.length, 1], ...x),
  positions: i32([x.length], ...positions),
  sequence: i32([x.length], ...sequence),
});

const fails = (code: string, message: RegExp, run: () => unknown): void => {
  try {
    run();
  } catch (error) {
    if (!(error instanceof UltramemError)) throw error;
    assert.is(error.code, code);
    assert.match(error.message, message);
    return;
  }
  assert.unreachable('nothing was thrown');
};

test('states live from step to step, per sequence; T may differ', () => {
  const run = new Interpreter(difference, { weights, symbols: { S: 2 } });
  assert.equal(values(run.step(step([1, 4, 9], [0, 1, 2], [0, 0, 0])).outputs.y), [2, 6, 10]);
  assert.equal(values(run.step(step([5, 16], [0, 3], [1, 0])).outputs.y), [10, 14]);
  assert.equal(values(run.step(step([7], [1], [1])).outputs.y), [4]);
  assert.equal(values(run.state('window')), [16, 7]);
  run.reset();
  assert.equal(values(run.state('window')), [0, 0]);
});

test('two interpreters share no state', () => {
  const [a, b] = [new Interpreter(difference, { weights }), new Interpreter(difference, { weights })];
  a.step(step([3], [0], [0]));
  assert.is(values(b.state('window'))[0], 0);
  assert.is(b.state('window').shape[0], 8, 'S takes its bound');
});

test('taps come when asked for, prepared values among them', () => {
  const run = new Interpreter(difference, { weights });
  assert.equal(run.step(step([1], [0], [0])).taps, {});
  const { taps } = run.step(step([2], [1], [0]), { taps: true });
  assert.equal(Object.keys(taps), ['c', 'w2']);
  assert.equal(values(taps.c), [2]);
  assert.equal(values(taps.w2), [-2, 2]);
});

test('weights may come as a map; an optional one is zero when absent', () => {
  const given = new Map<string, Tensor>(Object.entries({ ...weights, bias: f32([1], 100) }));
  assert.equal(values(interpret(difference, { weights: given, inputs: step([1], [0], [0]) }).outputs.y), [102]);
});

test('a constant output needs no inputs', () => {
  const graph = parse('graph two { step { %y = constant {value=2, dtype="i32"} } output y = %y }');
  assert.equal(interpret(graph).outputs, { y: i32([], 2) });
});

test('what does not fit is refused by name', () => {
  const run = new Interpreter(difference, { weights, symbols: { S: 2 } });
  fails('tensor-misfit', /weight "w" is missing, the graph wants f32\[1,2\]/, () => new Interpreter(difference, {}));
  fails(
    'tensor-misfit',
    /weight "w" is f32\[2,1\], the graph wants f32\[1,2\]/,
    () => new Interpreter(difference, { weights: { w: f32([2, 1], 1, 2) } }),
  );
  fails('tensor-misfit', /input "x" is missing/, () => run.step({}));
  fails('tensor-misfit', /input "x" is i32\[1,1\], the graph wants f32\[1,1\]/, () =>
    run.step({ ...step([1], [0], [0]), x: i32([1, 1], 1) }),
  );
  fails('tensor-misfit', /input "positions" is i32\[2\], the graph wants i32\[1\]/, () =>
    run.step({ ...step([1], [0], [0]), positions: i32([2], 0, 0) }),
  );
  fails('symbol-too-large', /T = 5 exceeds its bound 4/, () =>
    run.step(step([1, 2, 3, 4, 5], [0, 1, 2, 3, 4], [0, 0, 0, 0, 0])),
  );
  fails('index-out-of-range', /causalConv: index 2 is outside 0\.\.1/, () => run.step(step([1], [0], [2])));
});

test('a gather out of range is an error', () => {
  const graph = parse(`graph pick {
    input %i : i32[2]
    weight @w "w" : f32[3,1]
    step { %y = gather @w, %i {equation="nd,t->td"} }
    output y = %y
  }`);
  const pick = (...i: number[]) =>
    interpret(graph, { weights: { w: f32([3, 1], 5, 6, 7) }, inputs: { i: i32([2], ...i) } });
  assert.equal(values(pick(2, 0).outputs.y), [7, 5]);
  fails('index-out-of-range', /gather: index 3 is outside 0\.\.2/, () => pick(0, 3));
  fails('index-out-of-range', /gather: index -1 is outside 0\.\.2/, () => pick(-1, 0));
});

test.run();
