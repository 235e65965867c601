// Where buffers lie in one block of memory: buffers that never live at once may share bytes.

/** A buffer to place: alive from launch `first` to launch `last`, both included. */
export interface Placed {
  readonly bytes: number;
  readonly first: number;
  readonly last: number;
}

export const ALIGNMENT = 64;

export const align = (bytes: number): number => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;

/**
 * Byte offsets by index, and the size of the whole block. Largest first, each at the lowest offset that is free for its
 * whole life: within a few per cent of the lower bound on our graphs, and the same for the same buffers.
 */
export function placeBuffers(buffers: readonly Placed[]): { offsets: number[]; bytes: number } {
  const offsets = new Array<number>(buffers.length).fill(0);
  const order = buffers.map((_, i) => i).sort((i, j) => buffers[j]!.bytes - buffers[i]!.bytes || i - j);
  const done: number[] = [];
  let total = 0;
  for (const index of order) {
    const buffer = buffers[index]!;
    const neighbours = done
      .filter((i) => buffers[i]!.first <= buffer.last && buffer.first <= buffers[i]!.last)
      .sort((i, j) => offsets[i]! - offsets[j]!);
    let offset = 0;
    for (const i of neighbours) {
      if (offset + align(buffer.bytes) <= offsets[i]!) break;
      offset = Math.max(offset, offsets[i]! + align(buffers[i]!.bytes));
    }
    offsets[index] = offset;
    done.push(index);
    total = Math.max(total, offset + align(buffer.bytes));
  }
  return { offsets, bytes: total };
}

/** Byte offsets one after another, for buffers that all stay. */
export function stackBuffers(buffers: readonly { readonly bytes: number }[]): { offsets: number[]; bytes: number } {
  let bytes = 0;
  const offsets = buffers.map((buffer) => {
    const offset = bytes;
    bytes += align(buffer.bytes);
    return offset;
  });
  return { offsets, bytes };
}
