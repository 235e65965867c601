// Stage 2 of retrieval: the bilinear scores of an m × m grid and the k best of them. Made by fusion.

import { int } from '../attributes.ts';
import { typeText } from '../graph.ts';
import { op } from '../op.ts';
import { f32, i32, shaped } from '../operands.ts';
import { einsum } from './einsum.ts';
import { gather } from './gather.ts';
import { reduce } from './reduce.ts';
import { reshape } from './reshape.ts';
import { topk } from './topk.ts';

/**
 * `grid_topk {k}` (UltraMem §1.8-9): row, col f32[T,H,m,r], core f32[H,h,r,r] → position i32[T,H,k] (a·m + b), scores f32[T,H,k,h].
 * Cell (a,b) of core c is row[a]·core[c]·col[b]ᵀ; the k first cells by the sum over cores, in the order of `topk`, with each
 * core's own score.
 */
export const grid_topk = op({
  kind: 'grid_topk',
  inputs: ['row', 'col', 'core'],
  attrs: { k: int(1) },
  infer(types, { k }) {
    return shaped('grid_topk', this.inputs, types, ['f32[T,H,m,r]', 'f32[T,H,m,r]', 'f32[H,h,r,r]'], (dim) => {
      const m = dim('m');
      if (typeof m === 'number' && k <= m * m) {
        return [i32(dim('T'), dim('H'), k), f32(dim('T'), dim('H'), k, dim('h'))];
      }
      const message = `grid_topk keeps ${k} of a grid of ${m} × ${m}`;
      return { code: 'bad-attribute', message, got: typeText(types[0]!), wanted: 'k at most m²', input: 0 };
    });
  },
  flops({ inputs, count, size }) {
    const [, , m, r] = inputs[0]!.shape.map(size) as [number, number, number, number];
    const cores = size(inputs[2]!.shape[1]);
    return 2 * count(inputs[0]) * cores * (r + m);
  },
  run([row, col, core], { k }, symbols) {
    const [tokens, heads, m] = row!.shape as [number, number, number];
    const cores = core!.shape[1]!;
    const [turned] = einsum.run([row!, core!], { equation: 'thar,hcrs->thcas' }, symbols);
    const [cells] = einsum.run([turned!, col!], { equation: 'thcas,thbs->thcab' }, symbols);
    const [grid] = reshape.run([cells!], { shape: [tokens, heads, cores, m * m] }, symbols);
    const [sums] = reduce.run([grid!], { fn: 'sum', axis: 2 }, symbols);
    const [, position] = topk.run([sums!], { k }, symbols);
    const [scores] = gather.run([grid!, position!], { equation: 'thcg,thk->thkc' }, symbols);
    return [position!, scores!];
  },
});
