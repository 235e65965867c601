// rope and causal_conv: kernels that know where in its sequence a token stands.

import { FEW_TOKENS } from '../variants.ts';
import type { Lower } from './launch.ts';
import { firstStride, reads, updates, writes } from './operands.ts';
import { largestDivisor, threadPer } from './threads.ts';

/** Heads that share an angle in a thread, where there are tokens enough to fill a device without splitting them. */
const SHARED_HEADS = 8;

export const lowerRope: Lower<'rope'> = ({ constants: c, rows, reads: { x, positions }, writes: { y } }, at) => {
  const most = at.rowsAtMost(rows);
  const heads = most <= FEW_TOKENS ? 1 : largestDivisor(c.H, SHARED_HEADS);
  at.emit({
    kernel: 'rope',
    header: 'rope',
    constants: [c.layout === 'half', c.H, c.D, firstStride(x!), firstStride(y), heads],
    rows,
    pointers: [reads('x', x), reads('positions', positions), writes('y', y)],
    scalars: [c.theta],
    ...threadPer((((most * c.H) / heads) * c.D) / 2),
  });
};

export const lowerCausalConv: Lower<'causal_conv'> = ({ constants: { D, K }, rows, reads: r, writes: w }, at) =>
  at.emit({
    kernel: 'causal_conv',
    header: 'causal_conv',
    constants: [D, K, firstStride(r.x!), firstStride(w.y)],
    rows,
    pointers: [
      reads('x', r.x),
      reads('w', r.w),
      reads('positions', r.positions),
      reads('sequence', r.sequence),
      updates('window', w.window),
      writes('y', w.y),
    ],
    scalars: [],
    ...threadPer(D),
  });
