// Bodies of fused element-wise nodes: reading, printing, values.

import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  callsOf,
  type Expression,
  evaluator,
  expressionText,
  operandsOf,
  parseExpression,
} from '../../src/ir/expression.ts';
import { binaryNames, unaryNames } from '../../src/ir/scalar-functions.ts';
import { seed } from '../settings.ts';

const { expression } = fc.letrec<{ expression: Expression }>((tie) => ({
  expression: fc.oneof(
    { maxDepth: 5, withCrossShrink: true },
    fc.nat(25).map((index): Expression => ({ kind: 'operand', index })),
    fc.double().map((value): Expression => ({ kind: 'number', value })),
    fc
      .tuple(fc.constantFrom(...unaryNames), tie('expression'))
      .map(([fn, x]): Expression => ({ kind: 'call', fn, args: [x] })),
    fc
      .tuple(fc.constantFrom(...binaryNames), tie('expression'), tie('expression'))
      .map(([fn, x, y]): Expression => ({ kind: 'call', fn, args: [x, y] })),
  ),
}));

test(`the text of an expression reads back (seed ${seed})`, () => {
  const check = (e: Expression) => {
    const back = parseExpression(expressionText(e));
    assert.ok(back);
    assert.equal(back, e);
    assert.is(expressionText(back), expressionText(e));
  };
  fc.assert(fc.property(expression, check), { seed, numRuns: 300 });
});

test('values, rounded to f32 at every application', () => {
  const value = (text: string, ...operands: number[]) => evaluator(parseExpression(text)!)(operands);
  assert.is(value('sub(mul(a,b),c)', 3, 5, 1), 14);
  assert.is(value('neg(a)', 2), -2);
  assert.is(value('add(a,1e-9)', 1), 1);
  assert.is(value('sub(add(a,0.00000001),1)', 1), 0, 'the sum is rounded before the difference');
  assert.is(value('max(a,b)', 2, Number.NaN), 2);
  assert.ok(Number.isNaN(value('relu(a)', Number.NaN)));
});

test('what a body reads and applies', () => {
  const body = parseExpression('add(mul(a,c),mul(a,0.5))')!;
  assert.equal(operandsOf(body), new Set([0, 2]));
  assert.is(callsOf(body), 3);
});

test('texts that are no expressions', () => {
  for (const text of [
    '',
    'aa',
    'mul(a)',
    'neg(a,b)',
    'a b',
    'mul(a,b',
    'mul(a,,b)',
    'a)',
    'cbrt(a)',
    'A',
    '1.',
    'idiv(a,b)',
  ]) {
    assert.is(parseExpression(text), undefined, text);
  }
});

test.run();
