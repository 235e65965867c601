// A residual addition and the normalisation of its sum. Made by fusion.

import { oneOf, positive } from '../attributes.ts';
import { sameType, typeText } from '../graph.ts';
import { isProblem, op } from '../op.ts';
import { binary } from './binary.ts';
import { norm } from './norm.ts';

/** `add_norm {type, eps}`: x, y f32[…,D], weight f32[D] → x + y, norm(x + y); reads and writes as `binary` and `norm` do. */
export const add_norm = op({
  kind: 'add_norm',
  inputs: ['x', 'y', 'weight'],
  attrs: { type: oneOf('rms', 'layer'), eps: positive },
  infer([x, y, weight], attrs) {
    if (!sameType(x!, y!)) {
      const message = 'add_norm: the two addends differ';
      return { code: 'wrong-shape', message, got: typeText(y!), wanted: typeText(x!), input: 1 };
    }
    const normed = norm.infer([x!, weight!], attrs);
    return isProblem(normed) ? normed : [x!, x!];
  },
  flops: ({ results, count }) => 5 * count(results[0]),
  run([x, y, weight], attrs, symbols) {
    const [sum] = binary.run([x!, y!], { fn: 'add' }, symbols);
    const [normed] = norm.run([sum!, weight!], attrs, symbols);
    return [sum!, normed!];
  },
});
