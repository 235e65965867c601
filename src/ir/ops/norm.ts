// RMS and layer normalisation over the last axis.

import { tensor } from '../../support/tensor.ts';
import { oneOf, positive } from '../attributes.ts';
import { floats, shapeOf } from '../host.ts';
import { isProblem, op } from '../op.ts';
import { bind, wrongFirst } from '../operands.ts';

/**
 * `norm {type, eps}`: x f32[…,D], weight f32[D], bias? f32[D] → f32[…,D].
 * rms: w·x·(mean x² + eps)^−½ (UltraMem §1.3); layer: the same of x − mean x. The bias is added last.
 */
export const norm = op({
  kind: 'norm',
  inputs: ['x', 'weight', 'bias?'],
  attrs: { type: oneOf('rms', 'layer'), eps: positive },
  infer(types, { type }) {
    const [x, weight, bias] = types;
    const wrong = wrongFirst(`${type}Norm`, x!, 1);
    if (wrong) return wrong;
    const row = { dtype: x!.dtype, shape: x!.shape.slice(-1) };
    const operands = [row, weight!, ...(bias ? [bias] : [])];
    const bound = bind(`${type}Norm`, this.inputs, operands, ['f32[D]', 'f32[D]', 'f32[D]']);
    return isProblem(bound) ? bound : [x!];
  },
  flops: ({ results, count }) => 4 * count(results[0]),
  run([x, weight, bias], { type, eps }) {
    const width = shapeOf(x).at(-1)!;
    const from = floats(x);
    const scale = floats(weight);
    const shift = bias && floats(bias);
    const out = new Float32Array(from.length);
    for (let start = 0; start < out.length; start += width) {
      let mean = 0;
      if (type === 'layer') for (let i = 0; i < width; i++) mean += from[start + i]! / width;
      let squares = 0;
      for (let i = 0; i < width; i++) squares += (from[start + i]! - mean) ** 2;
      const factor = 1 / Math.sqrt(squares / width + eps);
      for (let i = 0; i < width; i++) {
        out[start + i] = (from[start + i]! - mean) * factor * scale[i]! + (shift?.[i] ?? 0);
      }
    }
    return [tensor('f32', shapeOf(x), out)];
  },
});
