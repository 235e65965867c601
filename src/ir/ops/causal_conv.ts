// Depthwise causal convolution over time.

import { zeros } from '../../support/tensor.ts';
import { typeText } from '../graph.ts';
import { floats, indices, integers, shapeOf } from '../host.ts';
import { isProblem, op } from '../op.ts';
import { bind } from '../operands.ts';

/**
 * `causal_conv`: x f32[T,D], weight f32[D,K], positions i32[T], sequence i32[T], state window f32[S,K−1,D] → f32[T,D] (UltraMem §1.1):
 * y[t] = Σ_j weight[:,K−1−j]·(x of the same sequence at positions[t] − j), zero before position 0. window[s, p mod (K−1)] holds the
 * input at position p of the latest K−1. Tokens of one sequence stand in order of position, without gaps.
 */
export const causal_conv = op({
  kind: 'causal_conv',
  inputs: ['x', 'weight', 'positions', 'sequence', 'window!'],
  attrs: {},
  infer(types) {
    const patterns = ['f32[T,D]', 'f32[D,K]', 'i32[T]', 'i32[T]', 'f32[S,W,D]'];
    const dim = bind('causalConv', this.inputs, types, patterns);
    if (isProblem(dim)) return dim;
    const [K, W] = [dim('K'), dim('W')];
    if (typeof K === 'number' && K >= 1 && W === K - 1) return [types[0]!];
    const message = `causalConv: a kernel of ${K} steps needs a window of one less, not ${W}`;
    return { code: 'wrong-shape', message, got: typeText(types[4]!), wanted: `[S,${Number(K) - 1},D]`, input: 4 };
  },
  flops: ({ inputs, count }) => 2 * count(inputs[0]) * (inputs[1]!.shape[1] as number),
  run([x, weight, positions, sequence, window]) {
    const [tokens, D] = shapeOf(x) as [number, number];
    const K = shapeOf(weight)[1]!;
    const [data, w, kept] = [floats(x), floats(weight), floats(window)];
    const place = integers(positions);
    const of = indices('causalConv', sequence, shapeOf(window)[0]!);
    const out = zeros('f32', shapeOf(x));
    const slot = (t: number, position: number) => (of[t]! * (K - 1) + (position % (K - 1))) * D;
    for (let t = 0; t < tokens; t++) {
      const position = place[t]!;
      for (let d = 0; d < D; d++) {
        let sum = w[d * K + K - 1]! * data[t * D + d]!;
        for (let j = 1; j < K && j <= position; j++) sum += w[d * K + K - 1 - j]! * kept[slot(t, position - j) + d]!;
        out.data[t * D + d] = sum;
      }
      if (K > 1) kept.set(data.subarray(t * D, (t + 1) * D), slot(t, position));
    }
    return [out];
  },
});
