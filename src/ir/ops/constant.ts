// A scalar known when the model is written.

import { tensor } from '../../support/tensor.ts';
import { anyNumber, oneOf } from '../attributes.ts';
import { op } from '../op.ts';

/** `constant {value, dtype}`: () → dtype[]. */
export const constant = op({
  kind: 'constant',
  inputs: [],
  attrs: { value: anyNumber, dtype: oneOf('f32', 'i32') },
  infer(_, { value, dtype }) {
    if (dtype === 'i32' && (value | 0) !== value) {
      return { code: 'bad-attribute', message: 'constant: the value is no i32', got: String(value), wanted: 'an i32' };
    }
    return [{ dtype, shape: [] }];
  },
  flops: () => 0,
  run: (_, { value, dtype }) => [
    dtype === 'f32' ? tensor('f32', [], Float32Array.of(value)) : tensor('i32', [], Int32Array.of(value)),
  ],
});
