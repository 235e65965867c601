// Several values one after the other along an axis.

import { elements, zeros } from '../../support/tensor.ts';
import { int } from '../attributes.ts';
import type { Dim } from '../graph.ts';
import { typeText } from '../graph.ts';
import { op } from '../op.ts';
import { wrongAxis } from '../operands.ts';

/** `concat {axis}`: values of one dtype, equal in all axes but a sized one → their sizes added along it. */
export const concat = op({
  kind: 'concat',
  inputs: ['x', '...more'],
  attrs: { axis: int() },
  infer(types, { axis }) {
    const first = types[0]!;
    const wrong = wrongAxis('concat', first, axis);
    if (wrong) return wrong;
    let total = 0;
    for (const [input, type] of types.entries()) {
      const dim: Dim | undefined = type.shape[axis];
      const fits =
        type.dtype === first.dtype &&
        type.shape.length === first.shape.length &&
        type.shape.every((d, i) => (i === axis ? typeof d === 'number' : d === first.shape[i]));
      if (!fits || typeof dim !== 'number') {
        const message = `concat: operand ${input} does not fit the first along axis ${axis}`;
        const wanted = `${first.dtype}[${first.shape.map((d, i) => (i === axis ? 'a size' : d)).join(',')}]`;
        return { code: 'wrong-shape', message, got: typeText(type), wanted, input };
      }
      total += dim;
    }
    return [{ dtype: first.dtype, shape: first.shape.with(axis, total) }];
  },
  flops: () => 0,
  run(tensors, { axis }) {
    const first = tensors[0]!;
    const total = tensors.reduce((n, x) => n + x.shape[axis]!, 0);
    const out = zeros(first.dtype, first.shape.with(axis, total));
    const outer = elements(first.shape.slice(0, axis));
    let at = 0;
    for (let i = 0; i < outer; i++) {
      for (const x of tensors) {
        const width = elements(x.shape.slice(axis));
        out.data.set(x.data.subarray(i * width, (i + 1) * width) as never, at);
        at += width;
      }
    }
    return [out];
  },
});
