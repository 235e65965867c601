// rope and causal_conv: kernels that know where in its sequence a token stands.

import type { Lower } from './launch.ts';
import { firstStride, reads, updates, writes } from './operands.ts';
import { threadPer } from './threads.ts';

export const lowerRope: Lower<'rope'> = ({ constants: c, rows, reads: { x, positions }, writes: { y } }, at) =>
  at.emit({
    kernel: 'rope',
    header: 'rope',
    constants: [c.layout === 'half', c.H, c.D, firstStride(x!), firstStride(y)],
    rows,
    pointers: [reads('x', x), reads('positions', positions), writes('y', y)],
    scalars: [c.theta],
    ...threadPer((at.rowsAtMost(rows) * c.H * c.D) / 2),
  });

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
