// Where buffers lie in one block of memory: buffers that never live at once may share bytes.

/** A buffer to place: alive from launch `first` to launch `last`, both included. */
export interface Placed {
  readonly bytes: number;
  readonly first: number;
  readonly last: number;
}

/** Whether two buffers may hold something at the same time: launches run one after another, unless the plan has streams. */
export type Together<B extends Placed = Placed> = (a: B, b: B) => boolean;

const liveTogether: Together = (a, b) => a.first <= b.last && b.first <= a.last;

export const ALIGNMENT = 64;

export const align = (bytes: number): number => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;

/**
 * Byte offsets by index, and the size of the whole block. Largest first, each at the lowest offset that is free for its
 * whole life: within a few per cent of the lower bound on our graphs, and the same for the same buffers.
 */
export function placeBuffers<B extends Placed>(
  buffers: readonly B[],
  together: Together<B> = liveTogether,
): { offsets: number[]; bytes: number } {
  const offsets = new Array<number>(buffers.length).fill(0);
  const order = buffers.map((_, i) => i).sort((i, j) => buffers[j]!.bytes - buffers[i]!.bytes || i - j);
  const done: number[] = [];
  let total = 0;
  for (const index of order) {
    const buffer = buffers[index]!;
    const neighbours = done.filter((i) => together(buffers[i]!, buffer)).sort((i, j) => offsets[i]! - offsets[j]!);
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
