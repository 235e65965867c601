// Words for arithmetic, element by element.

import type { DType } from '../support/dtype.ts';
import { apply1 } from './apply.ts';
import { checkDtype } from './declare.ts';
import type { F32, I32, Tensor } from './tensor.ts';
import { currentTrace } from './trace.ts';

type Number32 = 'f32' | 'i32';

const binary =
  (word: string, fn: string) =>
  <D extends Number32>(a: Tensor<D>, b: Tensor<NoInfer<D>> | number): Tensor<D> =>
    apply1(word, 'binary', [a, b], { fn });

const unary =
  (fn: string) =>
  (x: F32): F32 =>
    apply1(fn, 'unary', [x], { fn });

/** a + b, of one element type; shapes align at the last axis, 1 stretches. A number is a scalar. So for all words of two operands. */
export const add = binary('add', 'add');
/** a − b. */
export const sub = binary('sub', 'sub');
/** a · b. */
export const mul = binary('mul', 'mul');
/** a / b, f32 only; `idiv` for integers. */
export const div = (a: F32, b: F32 | number): F32 => apply1('div', 'binary', [a, b], { fn: 'div' });
/** The smaller of a and b. */
export const minimum = binary('minimum', 'min');
/** The larger of a and b. */
export const maximum = binary('maximum', 'max');

const integerBinary =
  (fn: 'idiv' | 'imod') =>
  (a: I32, b: I32 | number): I32 =>
    apply1(fn, 'binary', [a, b], () =>
      typeof b === 'number' && b <= 0
        ? { code: 'bad-attribute', message: `${fn}: the divisor`, got: String(b), wanted: 'an integer of at least 1' }
        : { fn },
    );

/** ⌊a / b⌋ of i32; b > 0. */
export const idiv = integerBinary('idiv');
/** a − b·⌊a / b⌋ of i32, so never negative; b > 0. */
export const imod = integerBinary('imod');

/** −x, element by element; so for all words of one operand, which are f32. */
export const neg = unary('neg');
/** e^x. */
export const exp = unary('exp');
/** Natural logarithm. */
export const log = unary('log');
/** √x. */
export const sqrt = unary('sqrt');
/** x^−½. */
export const rsqrt = unary('rsqrt');
/** x². */
export const square = unary('square');
/** |x|. */
export const abs = unary('abs');
/** max(x, 0). */
export const relu = unary('relu');
/** 1 / (1 + e^−x). */
export const sigmoid = unary('sigmoid');
/** x·sigmoid(x), the gate of SwiGLU. */
export const silu = unary('silu');
/** x·Φ(x) by erf, not the tanh approximation. */
export const gelu = unary('gelu');
/** Hyperbolic tangent. */
export const tanh = unary('tanh');

/** A scalar known when the model is written: dtype[], f32 by default. */
export function constant<D extends Number32 = 'f32'>(value: number, dtype: D = 'f32' as D): Tensor<D> {
  return apply1('constant', 'constant', [], { value, dtype });
}

/** The same values in another element type; floats round to nearest even, float to integer truncates. */
export function cast<D extends DType>(x: Tensor, dtype: D): Tensor<D> {
  const trace = currentTrace('cast');
  return checkDtype(trace, dtype) ? apply1('cast', 'cast', [x], { dtype }) : (trace.poison('f32') as Tensor<D>);
}
