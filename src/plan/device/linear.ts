// linear: few rows read the weight once, many rows share tiles of it; bf16 weights go through tensor cores.

import { FEW_TOKENS } from '../variants.ts';
import type { DevicePointer, DeviceScheduler, Lower } from './launch.ts';
import { reads, runLength, writes } from './operands.ts';
import { WARPS, warpPer } from './threads.ts';

/** Rows and columns of y that a block of linear_many computes; its threads. */
const [TILE, THREADS] = [64, 128];

/** Columns of a warp: several share what they read of x, as long as enough warps remain to fill a device. */
const columnsOf = (rows: number, N: number): number => (rows === 1 || N < 1024 ? 1 : N < 4096 ? 2 : 4);

/** Blocks that fill a large device: from so many tiles on, they may be large themselves, which halves what is read twice. */
const MANY_BLOCKS = 128;

export const lowerLinear: Lower<'linear'> = (launch, at) => {
  const most = at.rowsAtMost(launch.rows);
  const { x, packed } = launch.reads;
  const aligned = runLength(launch.constants.K, [x!, launch.constants.ldx], [packed!, launch.constants.K]) === 8;
  if (packed!.dtype === 'bf16' && most > FEW_TOKENS) manyByTensorCores(launch, at);
  else if (most > FEW_TOKENS) many(launch, at);
  else if (most > 1 && aligned && [x!, packed!].every(({ dtype }) => dtype === 'bf16')) fewByTensorCores(launch, at);
  else few(launch, at);
};

type Given = Parameters<Lower<'linear'>>;

const pointersOf = ({ reads: { x, packed }, writes: { y } }: Given[0]): DevicePointer[] => [
  reads('x', x),
  reads('w', packed),
  writes('y', y),
];

/** Elements of x and w that a thread reads at once; of f32, four or one. */
function runOf({ constants: { K, ldx }, reads: { x, packed } }: Given[0]): number {
  const run = runLength(K, [x!, ldx], [packed!, K]);
  return run < 4 && [x!, packed!].every(({ dtype }) => dtype === 'f32') ? 1 : run;
}

function few(launch: Given[0], at: DeviceScheduler): void {
  const { constants, rows } = launch;
  const { N, K, ldx, ldy } = constants;
  const most = at.rowsAtMost(rows);
  const columns = columnsOf(most, N);
  at.emit({
    kernel: 'linear_few',
    header: 'linear',
    constants: [N, K, ldx, ldy, most, columns, runOf(launch), WARPS],
    rows,
    pointers: pointersOf(launch),
    scalars: [],
    ...warpPer(Math.ceil(N / columns)),
  });
}

function many(launch: Given[0], at: DeviceScheduler): void {
  const { constants, rows } = launch;
  const { N, K, ldx, ldy } = constants;
  at.emit({
    kernel: 'linear_many',
    header: 'linear',
    constants: [N, K, ldx, ldy, runOf(launch)],
    rows,
    pointers: pointersOf(launch),
    scalars: [],
    grid: [Math.ceil(N / TILE) * Math.ceil(at.rowsAtMost(rows) / TILE), 1, 1],
    block: [THREADS, 1, 1],
  });
}

/** Columns of a block of linear_few_mma. */
const COLUMNS = 16;

/** Warps of a block share the elements of its columns: few columns alone would leave most of a device idle. */
function fewByTensorCores(launch: Given[0], at: DeviceScheduler): void {
  const { constants, rows } = launch;
  const { N, K, ldx, ldy } = constants;
  const warps = K < 512 ? 4 : 8;
  at.emit({
    kernel: 'linear_few_mma',
    header: 'linear_mma',
    constants: [N, K, ldx, ldy, at.rowsAtMost(rows), warps],
    rows,
    pointers: pointersOf(launch),
    scalars: [],
    grid: [Math.ceil(N / COLUMNS), 1, 1],
    block: [warps * 32, 1, 1],
  });
}

function manyByTensorCores(launch: Given[0], at: DeviceScheduler): void {
  const { constants, rows, reads: r, writes: w } = launch;
  const { N, K, ldx, ldy } = constants;
  const blocks = (tile: number) => Math.ceil(N / tile) * Math.ceil(at.rowsAtMost(rows) / tile);
  const tile = blocks(128) >= MANY_BLOCKS ? 128 : 64;
  const runs = [runLength(K, [r.x!, ldx]), runLength(K, [r.packed!, K]), runLength(N, [w.y, ldy])];
  at.emit({
    kernel: 'linear_many_mma',
    header: 'linear_mma',
    constants: [N, K, ldx, ldy, tile, ...runs],
    rows,
    pointers: pointersOf(launch),
    scalars: [],
    grid: [blocks(tile), 1, 1],
    block: [2 * tile, 1, 1],
  });
}
