// rope, attention, causal_conv: kernels that know which sequence a token belongs to. States are updated in place.

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

/** Warps of a block that share the positions of one token and head. */
const ATTENTION_WARPS = 4;

/** All keys and values are appended before any token looks at them. */
export const lowerAttention: Lower<'attention'> = ({ constants: c, rows, reads: r, writes: w }, at) => {
  const places = [reads('positions', r.positions), reads('sequence', r.sequence)];
  at.emit({
    kernel: 'attention_append',
    header: 'attention',
    constants: [c.Hkv, c.D, c.C, firstStride(r.k!), firstStride(r.v!)],
    rows,
    pointers: [reads('k', r.k), reads('v', r.v), ...places, updates('kcache', w.kcache), updates('vcache', w.vcache)],
    scalars: [],
    ...threadPer(at.rowsAtMost(rows) * c.Hkv * c.D),
  });
  at.emit({
    kernel: 'attention',
    header: 'attention',
    constants: [c.Hq, c.Hkv, c.D, c.C, firstStride(r.q!), firstStride(w.y), ATTENTION_WARPS],
    rows,
    pointers: [reads('q', r.q), reads('kcache', w.kcache), reads('vcache', w.vcache), ...places, writes('y', w.y)],
    scalars: [c.scale],
    grid: [at.rowsAtMost(rows) * c.Hq, 1, 1],
    block: [ATTENTION_WARPS * 32, 1, 1],
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
