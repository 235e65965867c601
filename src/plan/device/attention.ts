// attention: keys and values are appended first; few tokens split their cache over blocks, many share tiles of it.

import { unsupportedShape } from '../../support/errors/plan.ts';
import type { View } from '../types.ts';
import { FEW_TOKENS } from '../variants.ts';
import type { DeviceScheduler, Lower } from './launch.ts';
import { firstStride, reads, runLength, updates, writes } from './operands.ts';
import { largestDivisor, WARPS, warpPer } from './threads.ts';

/** Widest head: a warp holds 8 elements of it per lane. */
const MOST_WIDTH = 256;
/** Positions that a block's warps score in one turn: no part of the cache is shorter. */
const TURN = WARPS * 32;
/** Blocks that fill a large device; a cache is not split into more parts than give so many. */
const BLOCKS = 512;

type Given = Parameters<Lower<'attention'>>;

/** All keys and values are appended before any token looks at them. */
export const lowerAttention: Lower<'attention'> = (launch, at) => {
  const { constants: c, rows, reads: r, writes: w } = launch;
  if (c.D > MOST_WIDTH) {
    throw unsupportedShape(
      'attention',
      'the width of a head',
      `at most ${MOST_WIDTH} on a device`,
      String(c.D),
      launch.loc,
    );
  }
  at.emit({
    kernel: 'attention_append',
    header: 'attention',
    constants: [c.Hkv, c.D, c.C, firstStride(r.k!), firstStride(r.v!), TURN],
    rows,
    pointers: [
      reads('k', r.k),
      reads('v', r.v),
      reads('positions', r.positions),
      reads('sequence', r.sequence),
      updates('kcache', w.kcache),
      updates('vcache', w.vcache),
    ],
    scalars: [],
    grid: [at.rowsAtMost(rows), 1, 1],
    block: [TURN, 1, 1],
  });
  if (at.rowsAtMost(rows) <= FEW_TOKENS) splitOverCache(launch, at);
  else shareTiles(launch, at);
};

/** Elements of a key that a lane reads at once; of f32, four or one. */
function keyRun(cache: View, D: number): number {
  const run = runLength(D, [cache, D]);
  return cache.dtype === 'f32' && run < 4 ? 1 : run;
}

/** Elements of a value that a lane reads at once: narrow ones as far as all lanes find some. */
const valueRun = (cache: View, D: number): number =>
  cache.dtype === 'f32' ? 1 : Math.min(runLength(D, [cache, D]), largestPower(Math.ceil(D / 32)));

/** The largest power of two that is at most `n`. */
const largestPower = (n: number): number => 2 ** Math.floor(Math.log2(n));

function splitOverCache({ constants: c, rows, reads: r, writes: w }: Given[0], at: DeviceScheduler): void {
  const most = at.rowsAtMost(rows);
  // Up to 32 partial sums per lane.
  const heads = largestDivisor(c.Hq / c.Hkv, Math.max(1, Math.floor(32 / Math.ceil(c.D / 32))));
  const blocks = (most * c.Hq) / heads;
  const turns = Math.ceil(c.C / TURN);
  const length = Math.ceil(turns / Math.min(turns, Math.max(1, Math.floor(BLOCKS / blocks)))) * TURN;
  const count = Math.ceil(c.C / length);
  const [vector, run] = [keyRun(w.kcache, c.D), valueRun(w.vcache, c.D)];
  const parts = at.temporary('attention_parts', { dtype: 'f32', shape: [most, c.Hq, count, c.D + 2] });
  const positions = reads('positions', r.positions);
  at.emit({
    kernel: 'attention_parts',
    header: 'attention',
    constants: [c.Hq, c.Hkv, c.D, c.C, firstStride(r.q!), heads, count, length, vector, run, WARPS],
    rows,
    pointers: [
      reads('q', r.q),
      reads('kcache', w.kcache),
      reads('vcache', w.vcache),
      positions,
      reads('sequence', r.sequence),
      writes('parts', parts),
    ],
    scalars: [c.scale],
    part: length,
    grid: [blocks * count, 1, 1],
    block: [TURN, 1, 1],
  });
  at.emit({
    kernel: 'attention_merge',
    header: 'attention',
    constants: [c.Hq, c.D, firstStride(w.y), count, length],
    rows,
    pointers: [reads('parts', parts), positions, writes('y', w.y)],
    scalars: [],
    part: length,
    ...warpPer(most * c.Hq),
  });
  at.decide('attention', `${count} parts of ${length} positions`, 'few tokens alone would leave most of a device idle');
}

function shareTiles({ constants: c, rows, reads: r, writes: w }: Given[0], at: DeviceScheduler): void {
  // Static shared memory holds 48 KiB: the queries of a block beside a tile of 32 keys.
  const slots = c.D <= 128 ? 16 : 8;
  const heads = largestDivisor(c.Hq / c.Hkv, slots);
  const vector = runLength(c.D, [w.kcache, c.D], [w.vcache, c.D]) >= 4 ? 4 : 1;
  const tokens = Math.floor(slots / heads);
  at.emit({
    kernel: 'attention_tiles',
    header: 'attention',
    constants: [c.Hq, c.Hkv, c.D, c.C, firstStride(r.q!), firstStride(w.y), heads, slots / WARPS, vector, WARPS],
    rows,
    pointers: [
      reads('q', r.q),
      reads('kcache', w.kcache),
      reads('vcache', w.vcache),
      reads('positions', r.positions),
      reads('sequence', r.sequence),
      writes('y', w.y),
    ],
    scalars: [c.scale],
    grid: [(Math.ceil(at.rowsAtMost(rows) / tokens) * c.Hq) / heads, 1, 1],
    block: [WARPS * 32, 1, 1],
  });
}
