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

/** Threads of a block that has a token to itself. */
const TOKEN_THREADS = 128;

/** Few tokens pass the window on from one to the next; many look for their inputs side by side, and then leave the window. */
export const lowerCausalConv: Lower<'causal_conv'> = ({ constants: { D, K }, rows, reads: r, writes: w }, at) => {
  const [x, weight] = [reads('x', r.x), reads('w', r.w)];
  const places = [reads('positions', r.positions), reads('sequence', r.sequence)];
  const strides = [firstStride(r.x!), firstStride(w.y)];
  const shared = { header: 'causal_conv', rows, scalars: [] };
  const most = at.rowsAtMost(rows);
  if (most <= FEW_TOKENS) {
    at.emit({
      ...shared,
      kernel: 'causal_conv',
      constants: [D, K, ...strides],
      pointers: [x, weight, ...places, updates('window', w.window), writes('y', w.y)],
      ...threadPer(D),
    });
    return;
  }
  const shape = { grid: [most, 1, 1], block: [TOKEN_THREADS, 1, 1] } as const;
  at.emit({
    ...shared,
    kernel: 'causal_conv_many',
    constants: [D, K, ...strides, TOKEN_THREADS],
    pointers: [x, weight, ...places, reads('window', w.window), writes('y', w.y)],
    ...shape,
  });
  if (K === 1) return;
  at.emit({
    ...shared,
    kernel: 'causal_conv_keep',
    constants: [D, K, firstStride(r.x!), TOKEN_THREADS],
    pointers: [x, ...places, updates('window', w.window)],
    ...shape,
  });
};
