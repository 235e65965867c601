// Sum, largest or mean along one axis.

import { elements, zeros } from '../../support/tensor.ts';
import { int, oneOf } from '../attributes.ts';
import { floats, shapeOf } from '../host.ts';
import { op } from '../op.ts';
import { wrongAxis, wrongFirst } from '../operands.ts';

/** `reduce {fn, axis}`: x f32[…] → f32 without that axis. `sum` and `mean` add in order of the axis. */
export const reduce = op({
  kind: 'reduce',
  inputs: ['x'],
  attrs: { fn: oneOf('sum', 'max', 'mean'), axis: int() },
  infer([x], { fn, axis }) {
    const wrong = wrongFirst(fn, x!, 1) ?? wrongAxis(fn, x!, axis);
    return wrong ?? [{ dtype: 'f32', shape: x!.shape.toSpliced(axis, 1) }];
  },
  flops: ({ inputs, count }) => count(inputs[0]),
  run([x], { fn, axis }) {
    const shape = shapeOf(x);
    const data = floats(x);
    const size = shape[axis]!;
    const inner = elements(shape.slice(axis + 1));
    const out = zeros('f32', shape.toSpliced(axis, 1));
    for (let i = 0; i < out.data.length; i++) {
      const start = Math.floor(i / inner) * size * inner + (i % inner);
      let total = fn === 'max' ? Number.NEGATIVE_INFINITY : 0;
      for (let j = 0; j < size; j++) {
        const value = data[start + j * inner]!;
        total = fn === 'max' ? Math.max(total, value) : total + value;
      }
      out.data[i] = fn === 'mean' ? total / size : total;
    }
    return [out];
  },
});
