// Views of gathers.

import type { Launch, View } from '../../plan/types.ts';
import { ints, pointer, tokenStride } from '../cpp.ts';
import type { KernelView } from './kernel-view.ts';

export const gatherRowsView = ({ constants, reads, writes: { y } }: Launch<'gather_rows'>): KernelView => {
  const index = reads.index as View;
  return {
    header: 'gather',
    N: constants.N,
    D: constants.D,
    M: constants.M,
    table: pointer(reads.table as View),
    index: pointer(index),
    ldi: tokenStride(index),
    y: pointer(y),
    ldy: tokenStride(y),
  };
};

export const gatherView = ({ constants, reads, writes: { y } }: Launch<'gather'>): KernelView => {
  const [source, index] = [reads.source as View, reads.index as View];
  return {
    header: 'gather',
    dims: ints(constants.dims),
    sourceStrides: ints(constants.sourceStrides),
    indexStrides: ints(constants.indexStrides),
    count: constants.count,
    stride: constants.stride,
    source: pointer(source),
    lds: tokenStride(source),
    index: pointer(index),
    ldi: tokenStride(index),
    y: pointer(y),
    ldy: tokenStride(y),
  };
};
