// Stage 1 of retrieval: scores of all keys and the k best of them, scores never stored. Made by fusion.

import { int } from '../attributes.ts';
import { typeText } from '../graph.ts';
import { op } from '../op.ts';
import { f32, i32, shaped } from '../operands.ts';
import { einsum } from './einsum.ts';
import { topk } from './topk.ts';

/**
 * `score_topk {k}` (UltraMem §1.5-7): q f32[T,d] shared by the heads, or f32[T,H,d]; keys f32[H,n,d] → values f32[T,H,k],
 * index i32[T,H,k], the k first of q·keys in the order of `topk`.
 */
export const score_topk = op({
  kind: 'score_topk',
  inputs: ['q', 'keys'],
  attrs: { k: int(1) },
  infer(types, { k }) {
    const q = types[0]!.shape.length === 3 ? 'f32[T,H,d]' : 'f32[T,d]';
    return shaped('score_topk', this.inputs, types, [q, 'f32[H,n,d]'], (dim) => {
      const n = dim('n');
      if (typeof n === 'number' && k <= n) {
        const shape = [dim('T'), dim('H'), k];
        return [f32(...shape), i32(...shape)];
      }
      const message = `score_topk keeps ${k} of ${n} keys`;
      return { code: 'bad-attribute', message, got: typeText(types[1]!), wanted: `k at most ${n}`, input: 1 };
    });
  },
  flops: ({ inputs, count, size }) => 2 * size(inputs[0]!.shape[0]) * count(inputs[1]),
  run([q, keys], { k }, symbols) {
    const equation = q!.shape.length === 3 ? 'thd,hnd->thn' : 'td,hnd->thn';
    return topk.run(einsum.run([q!, keys!], { equation }, symbols), { k }, symbols);
  },
});
