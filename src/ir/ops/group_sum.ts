// Sums of rows by group.

import { elements, zeros } from '../../support/tensor.ts';
import { int } from '../attributes.ts';
import type { Type } from '../graph.ts';
import { floats, indices, shapeOf } from '../host.ts';
import { isProblem, op } from '../op.ts';
import { bind, wrongFirst } from '../operands.ts';

/** `group_sum {groups}`: x f32[T,R,…], group i32[T,R] → f32[T,groups,…]: y[t,g] = Σ of x[t,j] over group[t,j] = g (UltraMem §1.13). */
export const group_sum = op({
  kind: 'group_sum',
  inputs: ['x', 'group'],
  attrs: { groups: int(1) },
  infer([x, group], { groups }) {
    const wrong = wrongFirst('groupSum', x!, 2);
    if (wrong) return wrong;
    const rows: Type = { dtype: 'f32', shape: x!.shape.slice(0, 2) };
    const bound = bind('groupSum', this.inputs, [rows, group!], ['f32[T,R]', 'i32[T,R]']);
    return isProblem(bound) ? bound : [{ dtype: 'f32', shape: x!.shape.with(1, groups) }];
  },
  flops: ({ inputs, count }) => count(inputs[0]),
  run([x, group], { groups }) {
    const [tokens, rows] = shapeOf(x) as [number, number];
    const width = elements(shapeOf(x).slice(2));
    const data = floats(x);
    const of = indices('groupSum', group, groups);
    const sums = new Float64Array(tokens * groups * width);
    for (let i = 0; i < tokens * rows; i++) {
      const to = (Math.floor(i / rows) * groups + of[i]!) * width;
      for (let c = 0; c < width; c++) sums[to + c]! += data[i * width + c]!;
    }
    const out = zeros('f32', shapeOf(x).with(1, groups));
    out.data.set(sums);
    return [out];
  },
});
