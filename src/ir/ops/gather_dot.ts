// Rank scores of the selected keys alone. Made by fusion.

import { dtypeBytes, isQuantised } from '../../support/dtype.ts';
import { op } from '../op.ts';
import { f32, shaped } from '../operands.ts';
import { cast } from './cast.ts';
import { einsum } from './einsum.ts';
import { gather } from './gather.ts';

/** Forms of the query of rank scores, by its number of axes: one for all heads and ranks, one per rank, one per head. */
export const rankQuery = (axes: number): { readonly pattern: string; readonly labels: string } =>
  axes === 4
    ? { pattern: 'f32[T,H,1,d]', labels: 'thxd' }
    : axes === 3
      ? { pattern: 'f32[T,r,d]', labels: 'trd' }
      : { pattern: 'f32[T,d]', labels: 'td' };

/**
 * `gather_dot` (UltraMem §1.5, for selected keys): q f32[T,d], f32[T,r,d] with a query per rank, or f32[T,H,1,d] with one per head;
 * keys f32[H,n,r,d], index i32[T,H,m] → f32[T,H,m,r]: y[t,h,j,ρ] = q[t(,ρ or h)]·keys[h, index[t,h,j], ρ]. Keys of i8 or f8 count as
 * the numbers they are; who quantised them multiplies by their scales.
 */
export const gather_dot = op({
  kind: 'gather_dot',
  inputs: ['q', 'keys', 'index'],
  attrs: {},
  infer(types) {
    const { pattern } = rankQuery(types[0]!.shape.length);
    return shaped('gather_dot', this.inputs, types, [pattern, 'f32|i8|f8[H,n,r,d]', 'i32[T,H,m]'], (dim) => [
      f32(dim('T'), dim('H'), dim('m'), dim('r')),
    ]);
  },
  flops: ({ inputs, results, count, size }) => 2 * count(results[0]) * size(inputs[1]!.shape[3]),
  bytes: ({ inputs, results, bytes, size }) =>
    bytes(results[0]) * (1 + (size(inputs[1]!.shape[3]) * dtypeBytes[inputs[1]!.dtype]) / 4) +
    bytes(inputs[0]) +
    bytes(inputs[2]),
  run([q, keys, index], _, symbols) {
    const [rows] = gather.run([keys!, index!], { equation: 'hnrd,thm->thmrd' }, symbols);
    const equation = `${rankQuery(q!.shape.length).labels},thmrd->thmr`;
    const wide = isQuantised(rows!.dtype) ? cast.run([rows!], { dtype: 'f32' }, symbols)[0]! : rows!;
    return einsum.run([q!, wide], { equation }, symbols);
  },
});
