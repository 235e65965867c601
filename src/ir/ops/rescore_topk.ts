// Rank scores of the selected keys, the best cells of their grid, and the addresses of those. Made by fusion.

import { bool, int } from '../attributes.ts';
import { typeText } from '../graph.ts';
import { op } from '../op.ts';
import { f32, i32, shaped } from '../operands.ts';
import { binary } from './binary.ts';
import { constant } from './constant.ts';
import { gather } from './gather.ts';
import { gather_dot, rankQuery } from './gather_dot.ts';
import { grid_topk } from './grid_topk.ts';

/**
 * `rescore_topk {k, shuffled}` (UltraMem §1.8-11): rowIndex, colIndex i32[T,H,m], qRow, qCol as in `gather_dot`, keysRow, keysCol
 * f32[H,n,r,d], core f32[H,h,r,r], shuffle i32[n·n] when `shuffled` → slot i32[T,H,k], scores f32[T,H,k,h].
 * `gather_dot` of both sides, `grid_topk`, then slot = rowIndex[a]·n + colIndex[b], looked up in the shuffle table.
 */
export const rescore_topk = op({
  kind: 'rescore_topk',
  inputs: ['rowIndex', 'colIndex', 'qRow', 'qCol', 'keysRow', 'keysCol', 'core', 'shuffle?'],
  attrs: { k: int(1), shuffled: bool },
  infer(types, { k, shuffled }) {
    const q = rankQuery(types[2]!.shape.length).pattern;
    const keys = 'f32[H,n,r,d]';
    const patterns = ['i32[T,H,m]', 'i32[T,H,m]', q, q, keys, keys, 'f32[H,h,r,r]', 'i32[N]'];
    if (shuffled !== (types.length === 8)) {
      const message = `rescore_topk: shuffled is ${shuffled} with ${types.length} operands`;
      return { code: 'wrong-input-count', message, got: String(types.length), wanted: shuffled ? '8' : '7' };
    }
    return shaped('rescore_topk', this.inputs, types, patterns, (dim) => {
      const [m, n] = [dim('m'), dim('n')];
      if (typeof m !== 'number' || typeof n !== 'number' || k > m * m || (shuffled && dim('N') !== n * n)) {
        const message = `rescore_topk: k = ${k}, ${m} rows kept and ${n} keys do not fit`;
        const got = types.map(typeText).join(', ');
        return { code: 'wrong-shape', message, got, wanted: 'k at most m², a shuffle table of n²', input: 0 };
      }
      return [i32(dim('T'), dim('H'), k), f32(dim('T'), dim('H'), k, dim('h'))];
    });
  },
  flops({ inputs, count, size }) {
    const [, , r, d] = inputs[4]!.shape.map(size) as [number, number, number, number];
    const [, , m] = inputs[0]!.shape.map(size) as [number, number, number];
    const cores = size(inputs[6]!.shape[1]);
    return 2 * count(inputs[0]) * r * (2 * d + cores * (r + m));
  },
  bytes({ inputs, results, bytes, count, size }) {
    const [, , r, d] = inputs[4]!.shape.map(size) as [number, number, number, number];
    const keyRows = 8 * count(inputs[0]) * r * d;
    const table = inputs[7] ? bytes(results[0]) : 0;
    return keyRows + table + [...inputs.slice(0, 4), inputs[6]!, ...results].reduce((n, type) => n + bytes(type), 0);
  },
  run([rowIndex, colIndex, qRow, qCol, keysRow, keysCol, core, shuffle], { k }, symbols) {
    const [row] = gather_dot.run([qRow!, keysRow!, rowIndex!], {}, symbols);
    const [col] = gather_dot.run([qCol!, keysCol!, colIndex!], {}, symbols);
    const [position, scores] = grid_topk.run([row!, col!, core!], { k }, symbols);
    const integer = (value: number) => constant.run([], { value, dtype: 'i32' }, symbols)[0]!;
    const apply = (fn: string, a = position!, b = position!) => binary.run([a, b], { fn }, symbols)[0]!;
    const m = integer(rowIndex!.shape[2]!);
    const pick = { equation: 'thm,thk->thk' };
    const [rows] = gather.run([rowIndex!, apply('idiv', position, m)], pick, symbols);
    const [cols] = gather.run([colIndex!, apply('imod', position, m)], pick, symbols);
    const slot = apply('add', apply('mul', rows, integer(keysRow!.shape[1]!)), cols);
    if (!shuffle) return [slot, scores!];
    return [...gather.run([shuffle, slot], { equation: 'n,thk->thk' }, symbols), scores!];
  },
});
