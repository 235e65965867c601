// A function of two operands, element by element, with broadcasting.

import { invariant } from '../../support/errors.ts';
import { zeros } from '../../support/tensor.ts';
import { oneOf } from '../attributes.ts';
import { typeText } from '../graph.ts';
import { shapeOf } from '../host.ts';
import { isProblem, op } from '../op.ts';
import { broadcast, wrongDtype } from '../operands.ts';
import { binaryFunctions, binaryNames, integerFunctions, integerNames } from '../scalar-functions.ts';
import { broadcastStrides, forEachRow } from '../strides.ts';

const functions = { ...binaryFunctions, ...integerFunctions };
const onlyIntegers: readonly string[] = integerNames;

/**
 * `binary {fn}`: a, b of one dtype, shapes aligned at the last axis, 1 stretching → the common shape.
 * f32 for all but `idiv` and `imod`; i32 for all but `div`, wrapping on overflow; `idiv` and `imod` round down, divisor > 0.
 */
export const binary = op({
  kind: 'binary',
  inputs: ['a', 'b'],
  attrs: { fn: oneOf(...binaryNames, ...integerNames) },
  infer(types, { fn }) {
    const [a, b] = types;
    const dtypes = onlyIntegers.includes(fn) ? ['i32'] : fn === 'div' ? ['f32'] : ['f32', 'i32'];
    const wrong = wrongDtype(fn, 'a', a!, dtypes, 0) ?? wrongDtype(fn, 'b', b!, dtypes, 1);
    if (wrong) return wrong;
    if (a!.dtype !== b!.dtype) {
      const got = `${typeText(a!)} and ${typeText(b!)}`;
      return { code: 'wrong-dtype', message: `${fn}: operands of two element types`, got, wanted: 'one', input: 1 };
    }
    const shape = broadcast(fn, types);
    return isProblem(shape) ? shape : [{ dtype: a!.dtype, shape }];
  },
  flops: ({ results, count }) => count(results[0]),
  run([a, b], { fn }) {
    const apply = fn === 'mul' && a!.dtype === 'i32' ? Math.imul : functions[fn];
    const shape = broadcast(fn, [a!, b!]);
    invariant(!isProblem(shape), 'binary of shapes that do not broadcast');
    const sizes = shape as readonly number[];
    const out = zeros(a!.dtype as 'f32' | 'i32', sizes);
    const x = a!.data as Float32Array | Int32Array;
    const y = b!.data as Float32Array | Int32Array;
    if (sizes.length === 0) {
      out.data[0] = apply(x[0]!, y[0]!);
      return [out];
    }
    const views = [broadcastStrides(shapeOf(a), sizes), broadcastStrides(shapeOf(b), sizes)];
    const width = sizes.at(-1)!;
    const [dx, dy] = [views[0]!.at(-1)!, views[1]!.at(-1)!];
    forEachRow(sizes, views, (offsets, row) => {
      const [i, j] = offsets as [number, number];
      for (let k = 0; k < width; k++) out.data[row * width + k] = apply(x[i + k * dx]!, y[j + k * dy]!);
    });
    return [out];
  },
});
