// Views of linear and the packing of its weights.

import type { Launch, View } from '../../plan/types.ts';
import { elementType, pointer } from '../cpp.ts';
import type { KernelView } from './kernel-view.ts';

export const packLinearView = ({ constants, reads, writes }: Launch<'pack_linear'>): KernelView => ({
  header: 'linear',
  N: constants.N,
  K: constants.K,
  ldn: constants.ldn,
  ldk: constants.ldk,
  w: pointer(reads.w as View),
  packed: pointer(writes.packed),
});

export const linearView = ({ constants, reads, writes }: Launch<'linear'>): KernelView => ({
  header: 'linear',
  N: constants.N,
  K: constants.K,
  ldx: constants.ldx,
  ldy: constants.ldy,
  x: pointer(reads.x as View),
  packed: pointer(reads.packed as View),
  y: pointer(writes.y),
  scratch: `linear_scratch<${constants.N}, ${constants.K}, ${elementType[(reads.packed as View).dtype]}>()`,
});
