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

/** Keys that a tile of tokens meets at once; its parts are multiples of it. */
const KEYS = 64;

/** How the work is laid out. */
interface Layout {
  /** That of one token also takes queries too wide to hold several. */
  readonly kernel: 'score_topk_one' | 'score_topk_tile' | 'score_topk_mma';
  /** Tokens of a block. */
  readonly tile: number;
  /** Parts of the keys. */
  readonly parts: number;
  readonly shared: number;
}

/** Keys of a selection of K: registers hold whole warps of them, a power of two. */
const listSize = (K: number): number => Math.max(32, 2 ** Math.ceil(Math.log2(K)));

/** Bytes of shared memory by kernel, as their headers lay it out. */
const sharedBytes = {
  score_topk_tile(D: number, K: number, tile: number): number {
    const queries = Math.ceil(D / 32) * 32 * tile;
    const area = Math.max(32 * KEYS, tile * (KEYS + 1));
    return tile * listSize(K) * 8 + (queries + area) * 4;
  },
  score_topk_mma(D: number, K: number, tile: number): number {
    const depth = D <= 32 ? 32 : 64;
    const queries = tile * (Math.ceil(D / depth) * depth + 8);
    const slabs = 3 * KEYS * (depth + 8);
    return tile * listSize(K) * 8 + (queries + slabs) * 2 + tile * (KEYS + 8) * 4;
  },
};

function layout({ H, N, D, K }: Launch<'score_topk'>['constants'], bf16: boolean, most: number): Layout {
  const kernel = bf16 ? 'score_topk_mma' : 'score_topk_tile';
  const fitting = TILES.filter((tile) => sharedBytes[kernel](D, K, tile) <= SHARED_BYTES);
  if (most === 1 || fitting.length === 0) {
    // A part is worth its block where it drops at least half of its keys.
    const parts = Math.min(Math.ceil(BLOCKS / (H * most)), Math.floor(N / Math.max(64, 2 * K)));
    return { kernel: 'score_topk_one', tile: 1, parts: Math.max(1, parts), shared: 0 };
  }
  const tile = fitting.find((size) => size >= most) ?? fitting.at(-1)!;
  const tiles = Math.min(Math.ceil(most / tile), COUNTED_TILES);
  // A part costs a reading of the tile's queries and K keys per token: both are little beside its own keys.
  const keys = Math.ceil(Math.max((N * H * tiles) / BLOCKS, 6 * tile, 4 * K) / KEYS) * KEYS;
  return { kernel, tile, parts: Math.ceil(N / keys), shared: sharedBytes[kernel](D, K, tile) };
}

/** The launch that scores; returns the partial lists where there are several parts. */
function emitScores(launch: Launch<'score_topk'>, at: DeviceScheduler): { parts: number; partial: View | null } {
  const { constants: c, rows, writes: w } = launch;
  const q = launch.reads.q as View;
  const keys = launch.reads.keys as View;
  atMost('score_topk', 'k', c.K, MAX_KEPT, launch.loc);
  const most = at.rowsAtMost(rows);
  const bf16 = q.dtype === 'bf16' && keys.dtype === 'bf16';
  const { kernel, tile, parts, shared } = layout(c, bf16, most);
  const one = kernel === 'score_topk_one';
  if (one) atMost('score_topk', `T with keys of ${c.D} elements`, most, MAX_GRID, launch.loc);
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
    kernel,
    header: kernel === 'score_topk_mma' ? kernel : 'score_topk',
    constants: one ? constants : [...constants, tile],
    rows,
    pointers: [
      reads('q', q),
      reads('keys', keys),
      ...(partial === null
        ? [writes('values', w.values), writes('index', w.index), reads('partial', null)]
        : [reads('values', null), reads('index', null), writes('partial', partial)]),
    ],
    scalars: [],
    grid: one ? [parts, c.H, most] : [Math.ceil(most / tile), c.H, parts],
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
