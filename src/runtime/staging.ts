// Memory that copies of inputs take turns in. The system maps a fresh array of some size page by page, when it is first written:
// that takes ten times as long as the copy.

import type { HostArrays } from '../support/tensor.ts';

type HostArray = HostArrays[keyof HostArrays];

/** Smaller arrays come from memory that the process has already. */
const leastBytes = 16 * 1024;
/** What is kept for later calls at most. */
const mostBytes = 64 * 1024 * 1024;

/** Copies and gives back; what nobody gives back goes with the garbage. */
export class Staging {
  readonly #free: ArrayBuffer[] = [];
  #bytes = 0;

  /** A copy of `data`, in memory that was given back where there is enough. */
  copy<A extends HostArray>(data: A): A {
    const at =
      data.byteLength < leastBytes ? -1 : this.#free.findIndex(({ byteLength }) => byteLength >= data.byteLength);
    if (at < 0) return data.slice() as A;
    const [memory] = this.#free.splice(at, 1);
    this.#bytes -= memory!.byteLength;
    const copy = new (data.constructor as Float32ArrayConstructor)(memory!, 0, data.length);
    copy.set(data as unknown as Float32Array);
    return copy as unknown as A;
  }

  /** Nobody reads or writes this copy any more. */
  release({ buffer }: HostArray): void {
    if (buffer.byteLength < leastBytes || this.#bytes + buffer.byteLength > mostBytes) return;
    this.#bytes += buffer.byteLength;
    this.#free.push(buffer as ArrayBuffer);
    this.#free.sort((a, b) => a.byteLength - b.byteLength); // the least that is enough comes first
  }
}
