// A range of one axis.

import { elements, zeros } from '../../support/tensor.ts';
import { int } from '../attributes.ts';
import { typeText } from '../graph.ts';
import { op } from '../op.ts';
import { wrongAxis } from '../operands.ts';

/** `slice {axis, start, end}`: x → its elements start..end−1 along a sized axis. */
export const slice = op({
  kind: 'slice',
  inputs: ['x'],
  attrs: { axis: int(), start: int(), end: int() },
  infer([x], { axis, start, end }) {
    const wrong = wrongAxis('slice', x!, axis);
    if (wrong) return wrong;
    const dim = x!.shape[axis]!;
    if (typeof dim === 'string') {
      const message = `slice: axis ${axis} is the symbol ${dim}, which stays whole`;
      return { code: 'wrong-shape', message, got: typeText(x!), wanted: 'an axis with a size', input: 0 };
    }
    if (start >= end || end > dim) {
      const message = `slice: ${start}..${end} is no range of axis ${axis}`;
      return { code: 'bad-attribute', message, got: typeText(x!), wanted: `0 ≤ start < end ≤ ${dim}`, input: 0 };
    }
    return [{ dtype: x!.dtype, shape: x!.shape.with(axis, end - start) }];
  },
  flops: () => 0,
  bytes: () => 0,
  run([x], { axis, start, end }) {
    const out = zeros(x!.dtype, x!.shape.with(axis, end - start));
    const inner = elements(x!.shape.slice(axis + 1));
    const stride = x!.shape[axis]! * inner;
    const width = (end - start) * inner;
    for (let i = 0; i * width < out.data.length; i++) {
      const part = x!.data.subarray(i * stride + start * inner, i * stride + end * inner);
      out.data.set(part as never, i * width);
    }
    return [out];
  },
});
