// Views of kernels on the last axis of rows.

import type { Launch, View } from '../../plan/types.ts';
import { f32Literal, firstStride, pointer, pointerOrNull, tokenStride } from '../cpp.ts';
import type { KernelView } from './kernel-view.ts';

export const normView = ({ constants, reads, writes }: Launch<'norm'>): KernelView => {
  const name = constants.type === 'rms' ? 'rms_norm' : 'layer_norm';
  return {
    header: 'norm',
    call: constants.H === 1 ? `${name}<${constants.D}>` : `${name}_heads<${constants.H}, ${constants.D}>`,
    x: pointer(reads.x as View),
    ldx: constants.ldx,
    weights: normWeights(constants.type, reads),
    eps: f32Literal(constants.eps),
    y: pointer(writes.y),
    ldy: constants.ldy,
  };
};

/** The weight arguments: layer norm takes a bias, which may be null. */
const normWeights = (type: string, reads: { readonly weight: View | null; readonly bias: View | null }): string =>
  [pointer(reads.weight as View), ...(type === 'rms' ? [] : [pointerOrNull(reads.bias)])].join(', ');

export const addNormView = ({ constants, reads, writes }: Launch<'add_norm'>): KernelView => ({
  header: 'norm',
  call: `${constants.type === 'rms' ? 'add_norm' : 'add_layer_norm'}<${constants.D}>`,
  x: pointer(reads.x as View),
  ldx: constants.ldx,
  r: pointer(reads.r as View),
  ldr: constants.ldr,
  weights: normWeights(constants.type, reads),
  eps: f32Literal(constants.eps),
  sum: pointer(writes.sum),
  lds: constants.lds,
  y: pointer(writes.y),
  ldy: constants.ldy,
});

export const softmaxView = ({ constants, reads, writes }: Launch<'softmax'>): KernelView => ({
  header: 'softmax',
  H: constants.H,
  D: constants.D,
  x: pointer(reads.x as View),
  ldx: tokenStride(reads.x as View),
  y: pointer(writes.y),
  ldy: tokenStride(writes.y),
});

export const topkView = ({ constants, reads, writes }: Launch<'topk'>): KernelView => ({
  header: 'topk',
  N: constants.N,
  K: constants.K,
  x: pointer(reads.x as View),
  ldx: constants.ldx,
  values: pointer(writes.values),
  index: pointer(writes.index),
  scratch: `topk_scratch<${constants.N}, ${constants.K}>()`,
});

export const reduceView = ({ constants, reads, writes }: Launch<'reduce'>): KernelView => ({
  header: 'reduce',
  fn: constants.fn,
  outer: constants.outer,
  N: constants.N,
  inner: constants.inner,
  x: pointer(reads.x as View),
  ldx: tokenStride(reads.x as View),
  y: pointer(writes.y),
  ldy: tokenStride(writes.y),
});

export const groupSumView = ({ constants, reads, writes }: Launch<'group_sum'>): KernelView => ({
  header: 'group_sum',
  R: constants.R,
  D: constants.D,
  G: constants.G,
  x: pointer(reads.x as View),
  ldx: firstStride(reads.x as View),
  group: pointer(reads.group as View),
  ldg: firstStride(reads.group as View),
  y: pointer(writes.y),
  ldy: firstStride(writes.y),
});
