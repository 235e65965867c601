// Softmax over the last axis.

import { tensor } from '../../support/tensor.ts';
import { floats, shapeOf } from '../host.ts';
import { op } from '../op.ts';
import { wrongFirst } from '../operands.ts';

/** `softmax`: x f32[…,n] → f32[…,n], exp(x − max) over its sum. */
export const softmax = op({
  kind: 'softmax',
  inputs: ['x'],
  attrs: {},
  infer: ([x]) => wrongFirst('softmax', x!, 1) ?? [x!],
  flops: ({ results, count }) => 4 * count(results[0]),
  run([x]) {
    const width = shapeOf(x).at(-1)!;
    const out = Float32Array.from(floats(x));
    for (let start = 0; start < out.length; start += width) {
      const row = Array.from(out.subarray(start, start + width));
      const top = row.reduce((m, v) => Math.max(m, v), Number.NEGATIVE_INFINITY);
      const powers = row.map((v) => Math.exp(v - top));
      const sum = powers.reduce((s, v) => s + v, 0);
      for (const [i, power] of powers.entries()) out[start + i] = power / sum;
    }
    return [tensor('f32', shapeOf(x), out)];
  },
});
