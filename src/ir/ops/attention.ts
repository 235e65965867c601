// Causal attention of flat tokens over the cached keys and values of their own sequences.

import { zeros } from '../../support/tensor.ts';
import { positive } from '../attributes.ts';
import { typeText } from '../graph.ts';
import { floats, indices, shapeOf } from '../host.ts';
import { op } from '../op.ts';
import { shaped } from '../operands.ts';

/**
 * `attention {scale}`: q f32[T,Hq,hd], k and v f32[T,Hkv,hd], positions i32[T], sequence i32[T], states keys and values
 * f32[S,C,Hkv,hd] → f32[T,Hq,hd]. First writes k and v of every token at (sequence, position), then token t attends to
 * positions 0..positions[t] of its sequence. Query head i reads key head ⌊i·Hkv/Hq⌋.
 */
export const attention = op({
  kind: 'attention',
  inputs: ['q', 'k', 'v', 'positions', 'sequence', 'keys!', 'values!'],
  attrs: { scale: positive },
  infer(types) {
    const patterns = [
      'f32[T,Hq,hd]',
      'f32[T,Hkv,hd]',
      'f32[T,Hkv,hd]',
      'i32[T]',
      'i32[T]',
      'f32[S,C,Hkv,hd]',
      'f32[S,C,Hkv,hd]',
    ];
    return shaped('attention', this.inputs, types, patterns, (dim) => {
      const [heads, kept] = [dim('Hq'), dim('Hkv')];
      if (typeof heads === 'number' && typeof kept === 'number' && heads % kept === 0) return [types[0]!];
      const message = `attention: ${heads} query heads do not share ${kept} key heads evenly`;
      return {
        code: 'wrong-shape',
        message,
        got: typeText(types[0]!),
        wanted: 'a multiple of the key heads',
        input: 0,
      };
    });
  },
  // An upper bound: every token attends to the whole context.
  flops: ({ inputs, count, size }) => 4 * count(inputs[0]) * size(inputs[5]!.shape[1]),
  run([q, k, v, positions, sequence, keys, values], { scale }) {
    const [tokens, heads, width] = shapeOf(q) as [number, number, number];
    const [sequences, context, kept] = shapeOf(keys) as [number, number, number];
    const place = indices('attention', positions, context);
    const of = indices('attention', sequence, sequences);
    const row = kept * width;
    for (const [cache, news] of [
      [keys, k],
      [values, v],
    ] as const) {
      for (let t = 0; t < tokens; t++) {
        floats(cache).set(floats(news).subarray(t * row, (t + 1) * row), (of[t]! * context + place[t]!) * row);
      }
    }
    const [queries, cachedKeys, cachedValues] = [floats(q), floats(keys), floats(values)];
    const out = zeros('f32', shapeOf(q));
    for (let t = 0; t < tokens; t++) {
      for (let h = 0; h < heads; h++) {
        const to = (t * heads + h) * width;
        const start = of[t]! * context * row + Math.floor((h * kept) / heads) * width;
        const scores = new Float64Array(place[t]! + 1).map((_, p) => {
          let dot = 0;
          for (let i = 0; i < width; i++) dot += queries[to + i]! * cachedKeys[start + p * row + i]!;
          return dot * scale;
        });
        const top = scores.reduce((a, b) => Math.max(a, b));
        const powers = scores.map((score) => Math.exp(score - top));
        const sum = powers.reduce((a, b) => a + b);
        const mixed = new Float64Array(width);
        for (let p = 0; p < powers.length; p++) {
          const share = powers[p]! / sum;
          for (let i = 0; i < width; i++) mixed[i]! += share * cachedValues[start + p * row + i]!;
        }
        out.data.set(mixed, to);
      }
    }
    return [out];
  },
});
