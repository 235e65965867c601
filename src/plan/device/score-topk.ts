// score_topk: keys are split over blocks, whose best are merged.

import type { Launch, View } from '../types.ts';
import type { DeviceScheduler, Lower } from './launch.ts';
import { atMost, MAX_GRID, MAX_KEPT, SHARED_BYTES } from './limits.ts';
import { firstStride, reads, runLength, writes } from './operands.ts';

const THREADS = 256;
/** Blocks that fill a device. */
const BLOCKS = 128;
/** Tiles of tokens that are counted on to fill it: with more, parts only cost. */
const COUNTED_TILES = 8;
/** Tokens that share a reading of the keys. */
const TILES = [16, 32, 64] as const;

/** Keys that score_topk_tile holds at once; its parts are multiples of it. */
const KEYS = 64;

/** How the work is laid out. */
interface Layout {
  /** Tokens of a block; 1 stands for the kernel of one token, which also takes queries too wide to hold several. */
  readonly tile: number;
  /** Parts of the keys. */
  readonly parts: number;
  readonly shared: number;
}

/** Keys of a selection of K: registers hold whole warps of them, a power of two. */
const listSize = (K: number): number => Math.max(32, 2 ** Math.ceil(Math.log2(K)));

/** Bytes of shared memory of score_topk_tile, as native/cuda/score_topk.cuh lays it out. */
function sharedBytes(D: number, K: number, tile: number): number {
  const queries = Math.ceil(D / 32) * 32 * tile;
  const area = Math.max(32 * KEYS, tile * (KEYS + 1));
  return tile * listSize(K) * 8 + (queries + area) * 4;
}

function layout({ H, N, D, K }: Launch<'score_topk'>['constants'], most: number): Layout {
  const fitting = TILES.filter((tile) => sharedBytes(D, K, tile) <= SHARED_BYTES);
  if (most === 1 || fitting.length === 0) {
    // A part is worth its block where it drops at least half of its keys.
    const parts = Math.min(Math.ceil(BLOCKS / (H * most)), Math.floor(N / Math.max(64, 2 * K)));
    return { tile: 1, parts: Math.max(1, parts), shared: 0 };
  }
  const tile = fitting.find((size) => size >= most) ?? fitting.at(-1)!;
  const tiles = Math.min(Math.ceil(most / tile), COUNTED_TILES);
  // A part costs a reading of the tile's queries and K keys per token: a wide tile has fewer.
  const keys = Math.ceil(Math.max((N * H * tiles) / BLOCKS, (tile === 64 ? 6 : 4) * K) / KEYS) * KEYS;
  return { tile, parts: Math.ceil(N / keys), shared: sharedBytes(D, K, tile) };
}

/** The launch that scores; returns the partial lists where there are several parts. */
function emitScores(launch: Launch<'score_topk'>, at: DeviceScheduler): { parts: number; partial: View | null } {
  const { constants: c, rows, writes: w } = launch;
  const q = launch.reads.q as View;
  const keys = launch.reads.packed as View;
  atMost('score_topk', 'k', c.K, MAX_KEPT, launch.loc);
  const most = at.rowsAtMost(rows);
  const { tile, parts, shared } = layout(c, most);
  if (tile === 1) atMost('score_topk', `T with keys of ${c.D} elements`, most, MAX_GRID, launch.loc);
  const partial =
    parts === 1
      ? null
      : at.temporary(`${w.index.buffer.replace(/^v_/, '')}_parts`, {
          dtype: 'i32',
          shape: [q.shape[0]!, c.H, parts, c.K * 2],
        });
  const ldq = firstStride(q);
  const width = runLength(c.D, [q, ldq], [keys]);
  const constants = [c.H, c.N, c.D, c.K, c.perHead, ldq, parts, width];
  at.emit({
    kernel: tile === 1 ? 'score_topk_one' : 'score_topk_tile',
    header: 'score_topk',
    constants: tile === 1 ? constants : [...constants, tile],
    rows,
    pointers: [
      reads('q', q),
      reads('keys', keys),
      ...(partial === null
        ? [writes('values', w.values), writes('index', w.index), reads('partial', null)]
        : [reads('values', null), reads('index', null), writes('partial', partial)]),
    ],
    scalars: [],
    grid: tile === 1 ? [parts, c.H, most] : [Math.ceil(most / tile), c.H, parts],
    block: [THREADS, 1, 1],
    shared,
  });
  at.decide(w.index.buffer, `${parts} parts of ${Math.ceil(c.N / parts)} keys`, 'a block each, whose best are merged');
  return { parts, partial };
}

export const lowerScoreTopk: Lower<'score_topk'> = (launch, at) => {
  const { constants: c, rows, writes: w } = launch;
  const { parts, partial } = emitScores(launch, at);
  if (partial === null) return;
  const warps = parts >= 8 ? 8 : 4;
  at.emit({
    kernel: 'score_topk_merge',
    header: 'score_topk',
    constants: [c.H, c.K, parts, warps],
    rows,
    pointers: [reads('partial', partial), writes('values', w.values), writes('index', w.index)],
    scalars: [],
    grid: [at.rowsAtMost(rows), c.H, 1],
    block: [warps * 32, 1, 1],
  });
};
