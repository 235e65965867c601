// Rotary position embedding.

import { zeros } from '../../support/tensor.ts';
import { oneOf, positive } from '../attributes.ts';
import { typeText } from '../graph.ts';
import { floats, integers, shapeOf } from '../host.ts';
import { op } from '../op.ts';
import { shaped } from '../operands.ts';

/**
 * `rope {theta, layout}`: x f32[T,H,hd], positions i32[T] → f32[T,H,hd]. Pair i of a head turns by positions[t]·theta^(−2i/hd).
 * `half` pairs element i with i + hd/2; `interleaved` pairs 2i with 2i + 1. Frequencies and angles are rounded to f32, as the
 * published reference does.
 */
export const rope = op({
  kind: 'rope',
  inputs: ['x', 'positions'],
  attrs: { theta: positive, layout: oneOf('half', 'interleaved') },
  infer(types) {
    return shaped('rope', this.inputs, types, ['f32[T,H,hd]', 'i32[T]'], (dim) => {
      const width = dim('hd');
      if (typeof width === 'number' && width % 2 === 0) return [types[0]!];
      const message = `rope: a head of ${width} elements does not split into pairs`;
      return { code: 'wrong-shape', message, got: typeText(types[0]!), wanted: 'an even last axis', input: 0 };
    });
  },
  flops: ({ results, count }) => 3 * count(results[0]),
  run([x, positions], { theta, layout }) {
    const [tokens, heads, width] = shapeOf(x) as [number, number, number];
    const from = floats(x);
    const at = integers(positions);
    const out = zeros('f32', shapeOf(x));
    const pairs = width / 2;
    const frequency = Float32Array.from({ length: pairs }, (_, i) => theta ** ((-2 * i) / width));
    for (let row = 0; row < tokens * heads; row++) {
      const position = at[Math.floor(row / heads)]!;
      for (let i = 0; i < pairs; i++) {
        const angle = Math.fround(position * frequency[i]!);
        const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
        const first = row * width + (layout === 'half' ? i : 2 * i);
        const second = first + (layout === 'half' ? pairs : 1);
        out.data[first] = from[first]! * cos - from[second]! * sin;
        out.data[second] = from[second]! * cos + from[first]! * sin;
      }
    }
    return [out];
  },
});
