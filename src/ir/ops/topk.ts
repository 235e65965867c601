// The k first values of the last axis.

import { zeros } from '../../support/tensor.ts';
import { int } from '../attributes.ts';
import { typeText } from '../graph.ts';
import { floats, shapeOf } from '../host.ts';
import { op } from '../op.ts';
import { wrongFirst } from '../operands.ts';
import { firstK } from '../order.ts';

/** `topk {k}`: x f32[…,n] → values f32[…,k], indices i32[…,k]; descending, equal values by lower index, NaN last. */
export const topk = op({
  kind: 'topk',
  inputs: ['x'],
  attrs: { k: int(1) },
  infer([x], { k }) {
    const wrong = wrongFirst('topk', x!, 1);
    if (wrong) return wrong;
    const n = x!.shape.at(-1)!;
    if (typeof n === 'string' || k > n) {
      const size = typeof n === 'string' ? `the symbol ${n}` : n;
      const hint = typeof n === 'string' ? 'topk runs over an axis with a size' : `k must be at most ${n}`;
      const message = `topk keeps ${k} of an axis of ${size}`;
      return {
        code: 'bad-attribute',
        message,
        got: `k = ${k} for ${typeText(x!)}`,
        wanted: typeof n === 'string' ? 'an axis with a size' : `k at most ${n}`,
        hint,
        input: 0,
      };
    }
    const shape = x!.shape.with(-1, k);
    return [
      { dtype: 'f32', shape },
      { dtype: 'i32', shape },
    ];
  },
  flops: ({ inputs, count }) => count(inputs[0]),
  run([x], { k }) {
    const n = shapeOf(x).at(-1)!;
    const data = floats(x);
    const values = zeros('f32', shapeOf(x).with(-1, k));
    const index = zeros('i32', shapeOf(x).with(-1, k));
    for (let row = 0; row * n < data.length; row++) {
      for (const [i, best] of firstK(data.subarray(row * n, (row + 1) * n), k).entries()) {
        values.data[row * k + i] = data[row * n + best]!;
        index.data[row * k + i] = best;
      }
    }
    return [values, index];
  },
});
