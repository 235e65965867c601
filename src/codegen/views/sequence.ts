// Views of kernels that know sequences and positions.

import type { Launch, View } from '../../plan/types.ts';
import { f32Literal, f64Literal, firstStride, pointer } from '../cpp.ts';
import type { KernelView } from './kernel-view.ts';

export const ropeView = ({ constants, reads, writes }: Launch<'rope'>): KernelView => ({
  header: 'rope',
  H: constants.H,
  D: constants.D,
  layout: constants.layout,
  theta: f64Literal(constants.theta),
  x: pointer(reads.x as View),
  ldx: firstStride(reads.x as View),
  positions: pointer(reads.positions as View),
  y: pointer(writes.y),
  ldy: firstStride(writes.y),
});

export const attentionView = ({ constants, reads, writes }: Launch<'attention'>): KernelView => {
  const { Hq, Hkv, D, C } = constants;
  const [q, k, v] = [reads.q as View, reads.k as View, reads.v as View];
  return {
    header: 'attention',
    Hq,
    Hkv,
    D,
    C,
    scale: f32Literal(constants.scale),
    q: pointer(q),
    ldq: firstStride(q),
    k: pointer(k),
    ldk: firstStride(k),
    v: pointer(v),
    ldv: firstStride(v),
    positions: pointer(reads.positions as View),
    sequence: pointer(reads.sequence as View),
    kcache: pointer(writes.kcache),
    vcache: pointer(writes.vcache),
    y: pointer(writes.y),
    ldy: firstStride(writes.y),
    scratch: `attention_scratch<${Hq}, ${Hkv}, ${D}, ${C}>()`,
  };
};

export const causalConvView = ({ constants, reads, writes }: Launch<'causal_conv'>): KernelView => ({
  header: 'causal_conv',
  D: constants.D,
  K: constants.K,
  x: pointer(reads.x as View),
  ldx: firstStride(reads.x as View),
  w: pointer(reads.w as View),
  positions: pointer(reads.positions as View),
  sequence: pointer(reads.sequence as View),
  window: pointer(writes.window),
  y: pointer(writes.y),
  ldy: firstStride(writes.y),
});
