// Stage 2 of product-key retrieval: the best pairs by the sum of their sides' scores, and their addresses. Made by fusion.

import { bool, int } from '../attributes.ts';
import { typeText } from '../graph.ts';
import { op } from '../op.ts';
import { f32, i32, shaped } from '../operands.ts';
import { binary } from './binary.ts';
import { constant } from './constant.ts';
import { gather } from './gather.ts';
import { reshape } from './reshape.ts';
import { topk } from './topk.ts';

/**
 * `sum_grid_topk {k, keys, shuffled}` (UltraMem §3): row, col f32[T,H,m], each best first as topk leaves them, rowIndex, colIndex
 * i32[T,H,m], shuffle i32[keys²] when `shuffled` → slot i32[T,H,k], scores f32[T,H,k]. Cell (a,b) scores row[a] + col[b]; the k first
 * cells in the order of `topk`; slot = rowIndex[a]·keys + colIndex[b], looked up in the shuffle table.
 */
export const sum_grid_topk = op({
  kind: 'sum_grid_topk',
  inputs: ['row', 'col', 'rowIndex', 'colIndex', 'shuffle?'],
  attrs: { k: int(1), keys: int(1), shuffled: bool },
  infer(types, { k, keys, shuffled }) {
    if (shuffled !== (types.length === 5)) {
      const message = `sum_grid_topk: shuffled is ${shuffled} with ${types.length} operands`;
      return { code: 'wrong-input-count', message, got: String(types.length), wanted: shuffled ? '5' : '4' };
    }
    const patterns = ['f32[T,H,m]', 'f32[T,H,m]', 'i32[T,H,m]', 'i32[T,H,m]', 'i32[N]'];
    return shaped('sum_grid_topk', this.inputs, types, patterns, (dim) => {
      const m = dim('m');
      if (typeof m !== 'number' || k > m * m || (shuffled && dim('N') !== keys ** 2)) {
        const message = `sum_grid_topk: k = ${k}, ${m} kept a side and ${keys} keys do not fit`;
        const wanted = 'k at most m², a shuffle table of keys²';
        return { code: 'wrong-shape', message, got: types.map(typeText).join(', '), wanted, input: 0 };
      }
      return [i32(dim('T'), dim('H'), k), f32(dim('T'), dim('H'), k)];
    });
  },
  // Only cells with (a+1)·(b+1) ≤ k can be among the k best of sorted sides.
  flops({ inputs, attrs: { k }, count, size }) {
    const m = size(inputs[0]!.shape[2]);
    let cells = 0;
    for (let a = 0; a < m; a++) cells += Math.min(m, Math.floor(k / (a + 1)));
    return (count(inputs[0]) / m) * cells;
  },
  bytes: ({ inputs, results, bytes }) =>
    [...inputs.slice(0, 4), ...results].reduce((n, type) => n + bytes(type), 0) + (inputs[4] ? bytes(results[0]) : 0),
  run([row, col, rowIndex, colIndex, shuffle], { k, keys }, symbols) {
    const [T, H, m] = row!.shape as [number, number, number];
    const [a] = reshape.run([row!], { shape: [T, H, m, 1] }, symbols);
    const [b] = reshape.run([col!], { shape: [T, H, 1, m] }, symbols);
    const [sums] = binary.run([a!, b!], { fn: 'add' }, symbols);
    const [grid] = reshape.run([sums!], { shape: [T, H, m * m] }, symbols);
    const [scores, position] = topk.run([grid!], { k }, symbols);
    const integer = (value: number) => constant.run([], { value, dtype: 'i32' }, symbols)[0]!;
    const apply = (fn: string, x = position!, y = position!) => binary.run([x, y], { fn }, symbols)[0]!;
    const pick = { equation: 'thm,thk->thk' };
    const [rows] = gather.run([rowIndex!, apply('idiv', position, integer(m))], pick, symbols);
    const [cols] = gather.run([colIndex!, apply('imod', position, integer(m))], pick, symbols);
    const slot = apply('add', apply('mul', rows, integer(keys)), cols);
    if (!shuffle) return [slot, scores!];
    return [...gather.run([shuffle, slot], { equation: 'n,thk->thk' }, symbols), scores!];
  },
});
