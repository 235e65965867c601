// A table f32[ROWS,WIDTH] of 8 GiB in a sparse file: zeros but for marked rows, which alone take room on the disk.

import { open } from 'node:fs/promises';

export const WIDTH = 512;
export const ROWS = 2 ** 22;
/** How many rows are marked. */
export const marks = 2000;

/** The row of mark i. */
export const markedRow = (i: number): number => (i * 2_097_143) % ROWS;

/** A small integer, for marked rows. */
export const elementOf = (row: number, d: number): number => ((row * 31 + d * 7) % 64) - 32;

/** Writes the table as tensor `table` of a safetensors file. */
export async function writeMarkedTable(path: string): Promise<void> {
  const bytes = ROWS * WIDTH * 4;
  const header = { table: { dtype: 'F32', shape: [ROWS, WIDTH], data_offsets: [0, bytes] } };
  const text = JSON.stringify(header).padEnd(248);
  const head = Buffer.alloc(8 + text.length);
  head.writeBigUInt64LE(BigInt(text.length));
  head.write(text, 8);
  const file = await open(path, 'w');
  try {
    await file.write(head, 0, head.length, 0);
    await file.truncate(head.length + bytes);
    for (let i = 0; i < marks; i++) {
      const row = markedRow(i);
      const data = Float32Array.from({ length: WIDTH }, (_, d) => elementOf(row, d));
      await file.write(new Uint8Array(data.buffer), 0, data.byteLength, head.length + row * WIDTH * 4);
    }
  } finally {
    await file.close();
  }
}
