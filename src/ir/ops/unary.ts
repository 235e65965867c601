// One function applied to every element.

import { tensor } from '../../support/tensor.ts';
import { oneOf } from '../attributes.ts';
import { floats, shapeOf } from '../host.ts';
import { op } from '../op.ts';
import { wrongFirst } from '../operands.ts';
import { unaryFunctions, unaryNames } from '../scalar-functions.ts';

/** `unary {fn}`: x f32[…] → f32[…]. `gelu` is the erf form. */
export const unary = op({
  kind: 'unary',
  inputs: ['x'],
  attrs: { fn: oneOf(...unaryNames) },
  infer: ([x], { fn }) => wrongFirst(fn, x!, 0) ?? [x!],
  flops: ({ results, count }) => count(results[0]),
  run: ([x], { fn }) => [
    tensor(
      'f32',
      shapeOf(x),
      floats(x).map((v) => unaryFunctions[fn](v)),
    ),
  ],
});
