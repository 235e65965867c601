// Value rows gathered, weighted by core scores and summed per virtual block. Made by fusion.

import { dtypeBytes, isQuantised } from '../../support/dtype.ts';
import type { Tensor } from '../../support/tensor.ts';
import { int } from '../attributes.ts';
import { typeText } from '../graph.ts';
import { indices } from '../host.ts';
import { op } from '../op.ts';
import { f32, shaped } from '../operands.ts';
import { binary } from './binary.ts';
import { cast } from './cast.ts';
import { constant } from './constant.ts';
import { gather } from './gather.ts';
import { group_sum } from './group_sum.ts';

/**
 * `gather_pool {groups}` (UltraMem §1.12-13): table f32[N,Dv], slot i32[T,R], scores f32[T,R,h] → f32[T,groups,Dv].
 * row = slot mod N, group = slot div N; slice c of Dv/h elements of the row is weighted by score c; a row that comes up
 * several times is added each time. A table of i8 or f8 has `scale` f32[N], the factor of each row.
 */
export const gather_pool = op({
  kind: 'gather_pool',
  inputs: ['table', 'slot', 'scores', 'scale?'],
  attrs: { groups: int(1) },
  infer(types, { groups }) {
    const quantised = isQuantised(types[0]!.dtype);
    if (quantised !== (types.length === 4)) {
      const message = `gather_pool: a table of ${types[0]!.dtype} ${quantised ? 'lacks its' : 'has no'} scale`;
      return { code: 'wrong-input-count', message, got: `${types.length}`, wanted: quantised ? '4' : '3' };
    }
    return shaped('gather_pool', this.inputs, types, ['f32|i8|f8[N,D]', 'i32[T,R]', 'f32[T,R,h]', 'f32[N]'], (dim) => {
      const [N, D, h] = [dim('N'), dim('D'), dim('h')];
      if (typeof N === 'number' && typeof D === 'number' && typeof h === 'number' && D % h === 0) {
        return [f32(dim('T'), groups, D)];
      }
      const message = `gather_pool: rows of ${D} do not split into ${h} slices`;
      return { code: 'wrong-shape', message, got: typeText(types[0]!), wanted: 'a multiple of the cores', input: 0 };
    });
  },
  flops: ({ inputs, count, size }) => 2 * count(inputs[1]) * size(inputs[0]!.shape[1]),
  bytes: ({ inputs, results, bytes, size }) =>
    bytes(inputs[1]) +
    (bytes(inputs[1]) / 4) * size(inputs[0]!.shape[1]) * dtypeBytes[inputs[0]!.dtype] +
    (inputs[3] ? bytes(inputs[1]) : 0) +
    bytes(inputs[2]) +
    bytes(results[0]),
  run([table, slot, scores, scale], { groups }, symbols) {
    const [rows, width] = table!.shape as [number, number];
    const [tokens, R, cores] = scores!.shape as [number, number, number];
    indices('gather_pool', slot, rows * groups);
    const [N] = constant.run([], { value: rows, dtype: 'i32' }, symbols);
    const [row] = binary.run([slot!, N!], { fn: 'imod' }, symbols);
    const [group] = binary.run([slot!, N!], { fn: 'idiv' }, symbols);
    const [picked] = gather.run([table!, row!], { equation: 'nd,tr->trd' }, symbols);
    const rowsOf = scale === undefined ? picked! : unquantised(picked!, scale, row!);
    const slices = { ...rowsOf, shape: [tokens, R, cores, width / cores] } as Tensor;
    const weights = { ...scores!, shape: [tokens, R, cores, 1] } as Tensor;
    const [weighted] = binary.run([slices, weights], { fn: 'mul' }, symbols);
    const [pooled] = group_sum.run([weighted!, group!], { groups }, symbols);
    return [{ ...pooled!, shape: [tokens, groups, width] } as Tensor];
  },
});

/** Rows [T,R,D] by the factor of each: scale [N] at row [T,R]. */
function unquantised(rows: Tensor, scale: Tensor, row: Tensor): Tensor {
  const [wide] = cast.run([rows], { dtype: 'f32' }, {});
  const [factors] = gather.run([scale, row], { equation: 'n,tr->tr' }, {});
  return binary.run([wide!, { ...factors!, shape: [...row.shape, 1] } as Tensor], { fn: 'mul' }, {})[0]!;
}
