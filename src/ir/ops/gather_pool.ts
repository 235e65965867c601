// Value rows gathered, weighted by core scores and summed per virtual block. Made by fusion.

import type { Tensor } from '../../support/tensor.ts';
import { int } from '../attributes.ts';
import { typeText } from '../graph.ts';
import { indices } from '../host.ts';
import { op } from '../op.ts';
import { f32, shaped } from '../operands.ts';
import { binary } from './binary.ts';
import { constant } from './constant.ts';
import { gather } from './gather.ts';
import { group_sum } from './group_sum.ts';

/**
 * `gather_pool {groups}` (UltraMem §1.12-13): table f32[N,Dv], slot i32[T,R], scores f32[T,R,h] → f32[T,groups,Dv].
 * row = slot mod N, group = slot div N; slice c of Dv/h elements of the row is weighted by score c; a row that comes up
 * several times is added each time.
 */
export const gather_pool = op({
  kind: 'gather_pool',
  inputs: ['table', 'slot', 'scores'],
  attrs: { groups: int(1) },
  infer(types, { groups }) {
    return shaped('gather_pool', this.inputs, types, ['f32[N,D]', 'i32[T,R]', 'f32[T,R,h]'], (dim) => {
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
    bytes(inputs[1]) * (1 + size(inputs[0]!.shape[1])) + bytes(inputs[2]) + bytes(results[0]),
  run([table, slot, scores], { groups }, symbols) {
    const [rows, width] = table!.shape as [number, number];
    const [tokens, R, cores] = scores!.shape as [number, number, number];
    indices('gather_pool', slot, rows * groups);
    const [N] = constant.run([], { value: rows, dtype: 'i32' }, symbols);
    const [row] = binary.run([slot!, N!], { fn: 'imod' }, symbols);
    const [group] = binary.run([slot!, N!], { fn: 'idiv' }, symbols);
    const [picked] = gather.run([table!, row!], { equation: 'nd,tr->trd' }, symbols);
    const slices = { ...picked!, shape: [tokens, R, cores, width / cores] } as Tensor;
    const weights = { ...scores!, shape: [tokens, R, cores, 1] } as Tensor;
    const [weighted] = binary.run([slices, weights], { fn: 'mul' }, symbols);
    const [pooled] = group_sum.run([weighted!, group!], { groups }, symbols);
    return [{ ...pooled!, shape: [tokens, groups, width] } as Tensor];
  },
});
