// Writing weight files: complete or not at all, piece by piece where tensors are larger than memory.

import { randomBytes } from 'node:crypto';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { weightsUnwritable } from '../support/errors/weights.ts';
import { invariant } from '../support/errors.ts';
import type { Tensor } from '../support/tensor.ts';
import { storedName } from './convert.ts';
import { type StoredDType, storedBytes } from './safetensors-header.ts';

/** A tensor of a file that is to be written. */
export interface TensorEntry {
  readonly name: string;
  readonly dtype: StoredDType;
  readonly shape: readonly number[];
}

/** Puts bytes of a tensor at their place, counted from its first byte; in any order, each byte once. */
export type WriteBytes = (name: string, at: number, bytes: Uint8Array) => Promise<void>;

/**
 * Writes one .safetensors file whose bytes `fill` hands over. Nothing is at `path` before all is; what was there stays until then.
 * Same tensors, same bytes.
 * @throws UltramemError weights-unwritable; what `fill` throws
 */
export async function composeSafetensors(
  path: string,
  entries: readonly TensorEntry[],
  metadata: Readonly<Record<string, string>>,
  fill: (write: WriteBytes) => Promise<void>,
): Promise<void> {
  const { head, places, bytes } = layOut(entries, metadata);
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  const unwritable = (cause: unknown): never => {
    throw weightsUnwritable(path, cause);
  };
  let written = 0;
  const handle = await open(temporary, 'wx').catch(unwritable);
  try {
    try {
      await writeAll(handle, head, 0).catch(unwritable);
      await fill(async (name, at, piece) => {
        const place = places.get(name);
        invariant(place !== undefined && at + piece.length <= place.bytes, `bytes past the end of ${name}`);
        await writeAll(handle, piece, head.length + place.begin + at).catch(unwritable);
        written += piece.length;
      });
      invariant(written === bytes, `${bytes - written} bytes of ${path} were never handed over`);
      await handle.sync().catch(unwritable);
    } finally {
      await handle.close();
    }
    await rename(temporary, path).catch(unwritable);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/**
 * Writes tensors as one .safetensors file: complete or not at all. Same tensors, same bytes.
 * @throws UltramemError weights-unwritable
 */
export async function writeSafetensors(
  path: string,
  tensors: Readonly<Record<string, Tensor>>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const all = Object.entries(tensors);
  const entries = all.map(([name, { dtype, shape }]): TensorEntry => ({ name, dtype: storedName[dtype], shape }));
  await composeSafetensors(path, entries, metadata, async (write) => {
    for (const [name, { data }] of all) {
      await write(name, 0, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    }
  });
}

interface Layout {
  /** Length, JSON, and spaces up to a multiple of 64, so that mapped weights start on a cache line. */
  readonly head: Buffer;
  /** From the end of the head. */
  readonly places: ReadonlyMap<string, { readonly begin: number; readonly bytes: number }>;
  readonly bytes: number;
}

/** Widest elements first, then by name: every tensor starts aligned to its own element size. */
function layOut(entries: readonly TensorEntry[], metadata: Readonly<Record<string, string>>): Layout {
  const sorted = entries.toSorted((a, b) => storedBytes[b.dtype] - storedBytes[a.dtype] || (a.name < b.name ? -1 : 1));
  const header: Record<string, unknown> = Object.keys(metadata).length > 0 ? { __metadata__: metadata } : {};
  const places = new Map<string, { begin: number; bytes: number }>();
  let end = 0;
  for (const { name, dtype, shape } of sorted) {
    const bytes = shape.reduce((n, d) => n * d, storedBytes[dtype]);
    header[name] = { dtype, shape, data_offsets: [end, end + bytes] };
    places.set(name, { begin: end, bytes });
    end += bytes;
  }
  const text = Buffer.from(JSON.stringify(header));
  const head = Buffer.alloc(8 + text.length + (((-(8 + text.length) % 64) + 64) % 64), ' ');
  head.writeBigUInt64LE(BigInt(head.length - 8));
  text.copy(head, 8);
  return { head, places, bytes: end };
}

async function writeAll(handle: FileHandle, bytes: Uint8Array, at: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const length = Math.min(bytes.length - done, 1 << 30);
    done += (await handle.write(bytes, done, length, at + done)).bytesWritten;
  }
}
