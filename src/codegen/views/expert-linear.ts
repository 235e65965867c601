// Views of products with chosen experts.

import type { Launch, View } from '../../plan/types.ts';
import { elementType, firstStride, pointer } from '../cpp.ts';
import type { KernelView } from './kernel-view.ts';

export const expertGroupsView = ({ constants: c, reads, writes }: Launch<'expert_groups'>): KernelView => ({
  header: 'expert_linear',
  E: c.E,
  K: c.K,
  index: pointer(reads.index as View),
  ldi: firstStride(reads.index as View),
  groups: pointer(writes.groups),
  pairs: pointer(writes.pairs),
  scratch: `expert_groups_scratch<${c.E}>()`,
});

export const expertLinearView = ({ constants: c, reads, writes }: Launch<'expert_linear'>): KernelView => ({
  header: 'expert_linear',
  sizes: [c.E, c.N, c.D, c.K].join(', '),
  x: pointer(reads.x as View),
  ldx: c.ldx,
  ldk: c.ldk,
  weights: pointer(reads.weights as View),
  groups: pointer(reads.groups as View),
  pairs: pointer(reads.pairs as View),
  y: pointer(writes.y),
  scratch: `expert_linear_scratch<${c.D}, ${elementType[(reads.weights as View).dtype]}>()`,
});
