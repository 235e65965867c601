// Words for normalisation.

import { apply1, knownOptions } from './apply.ts';
import type { F32 } from './tensor.ts';

export interface NormOptions {
  /** Added to the mean square; default 1e-5. */
  readonly eps?: number;
}

export interface LayerNormOptions extends NormOptions {
  /** f32[D], added last; none by default. */
  readonly bias?: F32;
}

/** RMSNorm over the last axis: x f32[…,D], weight f32[D] → weight·x·(mean x² + eps)^−½ (UltraMem §1.3). */
export function rmsNorm(x: F32, weight: F32, options: NormOptions = {}): F32 {
  knownOptions('rmsNorm', options, ['eps']);
  return apply1('rmsNorm', 'norm', [x, weight], { type: 'rms', eps: options.eps ?? 1e-5 });
}

/** LayerNorm over the last axis: x f32[…,D], weight f32[D] → weight·(x − mean)·(variance + eps)^−½ + bias. */
export function layerNorm(x: F32, weight: F32, options: LayerNormOptions = {}): F32 {
  knownOptions('layerNorm', options, ['eps', 'bias']);
  const operands = options.bias === undefined ? [x, weight] : [x, weight, options.bias];
  return apply1('layerNorm', 'norm', operands, { type: 'layer', eps: options.eps ?? 1e-5 });
}
