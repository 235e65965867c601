// Views of kernels that walk broadcast or strided axes: fill, copy, map, einsum.

import type { Launch, View } from '../../plan/types.ts';
import { elementType, f32Literal, i32Literal, ints, pointer, tokenStride } from '../cpp.ts';
import type { KernelView } from './kernel-view.ts';

export const fillView = ({ constants, writes: { y } }: Launch<'fill'>): KernelView => ({
  header: 'convert',
  y: pointer(y),
  value: y.dtype === 'f32' ? f32Literal(constants.value) : i32Literal(constants.value),
});

export const copyView = ({ constants, reads, writes: { y } }: Launch<'copy'>): KernelView => {
  const x = reads.x as View;
  return {
    header: 'copy',
    dims: ints(constants.dims),
    xStrides: ints(constants.xStrides),
    yStrides: ints(constants.yStrides),
    from: elementType[x.dtype],
    to: elementType[y.dtype],
    x: pointer(x),
    ldx: tokenStride(x),
    y: pointer(y),
    ldy: tokenStride(y),
  };
};

/** A function with its parenthesis, an operand, or a number of an elementwise expression. */
const token = /([a-z][a-z0-9]*\()|([a-z])|-?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?|Infinity)|NaN/g;

/** An expression as C++: numbers and known scalars written by `literal`, functions found in `scope`, operands by their names. */
export function expressionBody(
  { expr, literals }: { readonly expr: string; readonly literals: Readonly<Record<string, number>> },
  literal: (value: number) => string,
  scope = '',
): string {
  return expr
    .replace(token, (text, call?: string, name?: string) => {
      if (call !== undefined) return `${scope}${text}`;
      if (name === undefined) return literal(Number(text));
      return name in literals ? literal(literals[name]!) : name;
    })
    .replace(/,(?=\S)/g, ', ');
}

export const elementwiseView = ({ constants, reads, writes: { y } }: Launch<'elementwise'>): KernelView => {
  const operands = Object.entries(reads) as [string, View][];
  const literal = y.dtype === 'f32' ? f32Literal : (v: number) => `int32_t{${i32Literal(v)}}`;
  return {
    header: 'elementwise',
    dims: ints(constants.dims),
    y: pointer(y),
    ldy: tokenStride(y),
    parameters: operands.map(([name]) => `auto ${name}`).join(', '),
    body: expressionBody(constants, (value) => `splat(${literal(value)})`),
    operands: operands
      .map(([, view], i) => {
        const strides = constants.strides[i]!.join(', ');
        return `Operand<${elementType[view.dtype]}, ${strides}>{${pointer(view)}, ${tokenStride(view)}}`;
      })
      .join(', '),
  };
};

export const einsumView = ({ constants, reads, writes: { y } }: Launch<'einsum'>): KernelView => {
  const [a, b] = [reads.a as View, reads.b as View];
  return {
    header: 'einsum',
    dims: ints(constants.dims),
    yRank: constants.yRank,
    aStrides: ints(constants.aStrides),
    bStrides: ints(constants.bStrides),
    a: pointer(a),
    lda: tokenStride(a),
    b: pointer(b),
    ldb: tokenStride(b),
    y: pointer(y),
    ldy: tokenStride(y),
  };
};
