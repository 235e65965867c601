// Reordering of axes.

import type { Tensor } from '../../support/tensor.ts';
import { ints } from '../attributes.ts';
import { typeText } from '../graph.ts';
import { op } from '../op.ts';
import { permuted } from '../strides.ts';

/** `transpose {perm}`: axis i of the result is axis perm[i] of x. */
export const transpose = op({
  kind: 'transpose',
  inputs: ['x'],
  attrs: { perm: ints },
  infer([x], { perm }) {
    const rank = x!.shape.length;
    if (perm.length !== rank || new Set(perm).size !== rank || perm.some((axis) => axis >= rank)) {
      const message = `transpose: [${perm.join(',')}] is no order of ${rank} axes`;
      return { code: 'bad-attribute', message, got: typeText(x!), wanted: `each of 0..${rank - 1} once`, input: 0 };
    }
    return [{ dtype: x!.dtype, shape: perm.map((axis) => x!.shape[axis]!) }];
  },
  flops: () => 0,
  run([x], { perm }) {
    const shape = perm.map((axis) => x!.shape[axis]!);
    return [{ dtype: x!.dtype, shape, data: permuted(x!.data, x!.shape, perm) } as Tensor];
  },
});
