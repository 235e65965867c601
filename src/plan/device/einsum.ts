// einsum: a thread per element of the result, or a warp where its terms lie side by side.

import type { View } from '../types.ts';
import type { Lower } from './launch.ts';
import { reads, tokenStride, writes } from './operands.ts';
import { threadPer, warpPer } from './threads.ts';

const product = (sizes: readonly number[]): number => sizes.reduce((n, d) => n * d, 1);

/** From so many terms on, a warp has enough for its lanes. */
const WARP_TERMS = 64;

export const lowerEinsum: Lower<'einsum'> = ({ constants: c, rows, reads: { a, b }, writes: { y } }, at) => {
  const kept = c.dims.slice(0, c.yRank);
  const summed = c.dims.slice(c.yRank);
  const sides = ([strides, view]: readonly [readonly number[], View]) => [
    tokenStride(view),
    strides.slice(0, c.yRank),
    strides.slice(c.yRank),
  ];
  const elements = at.rowsAtMost(rows) * product(kept);
  // Innermost strides: where terms are strided but elements are not, a thread per element reads whole lines.
  const termsApart = [c.aStrides, c.bStrides].some((strides) => strides[c.dims.length - 1]! > 1);
  const warp = product(summed) >= WARP_TERMS && !termsApart;
  at.emit({
    kernel: 'einsum',
    header: 'einsum',
    constants: [warp ? 32 : 1, kept, summed, ...sides([c.aStrides, a!]), ...sides([c.bStrides, b!]), tokenStride(y)],
    rows,
    pointers: [reads('a', a), reads('b', b), writes('y', y)],
    scalars: [],
    ...(warp ? warpPer(elements) : threadPer(elements)),
  });
};
