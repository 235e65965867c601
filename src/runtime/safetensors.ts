// Weight files: one .safetensors, an index of shards, or a folder with either. Opening reads headers only.

import { type FileHandle, open, readFile, stat } from 'node:fs/promises';
import { dirname, isAbsolute, join } from 'node:path';
import type { DType } from '../support/dtype.ts';
import { aborted } from '../support/errors/session.ts';
import {
  safetensorsTruncated,
  weightsDtypeUnsupported,
  weightsIndexInvalid,
  weightsNameUnknown,
  weightsNotFound,
  weightsUnreadable,
  weightsValueRange,
} from '../support/errors/weights.ts';
import { didYouMean } from '../support/suggest.ts';
import { type Tensor, zeros } from '../support/tensor.ts';
import { convert, readableAs } from './convert.ts';
import { headerLength, parseHeader, type SafetensorsHeader, type StoredTensor } from './safetensors-header.ts';

export type { StoredDType, StoredTensor } from './safetensors-header.ts';

/** Headers of one or more weight files. Holds no open file. */
export interface SafetensorsFiles {
  /** As given by the user. */
  readonly source: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: ReadonlyMap<string, StoredTensor>;
}

/**
 * Reads and checks the header(s) at `path`: a .safetensors file, an index JSON of shards, or a folder with
 * model.safetensors or model.safetensors.index.json.
 * @throws UltramemError weights-not-found, weights-unreadable, weights-index-invalid, safetensors-*
 */
export async function openSafetensors(path: string): Promise<SafetensorsFiles> {
  const file = await locate(path);
  if (file.endsWith('.json')) return openShards(path, file);
  const { metadata, tensors } = await readHeader(file);
  return { source: path, metadata, tensors: new Map(tensors.map((t) => [t.name, t])) };
}

/** What reading may be told. */
export interface ReadOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called with the count of bytes whenever some have been read. */
  readonly onBytes?: ((count: number) => void) | undefined;
}

/**
 * Reads one tensor, by name, as `dtype` (default: the element type of the file).
 * @throws UltramemError weights-name-unknown, weights-dtype-unsupported, weights-value-range, weights-unreadable, aborted
 */
export async function readTensor<D extends DType = DType>(
  files: SafetensorsFiles,
  name: string,
  dtype?: D,
  options: ReadOptions = {},
): Promise<Tensor<D>> {
  const stored = files.tensors.get(name);
  if (stored === undefined) throw weightsNameUnknown(files.source, name, didYouMean(name, files.tensors.keys()));
  const handle = await openFile(stored.path);
  try {
    return await readStored(handle, stored, dtype, options);
  } finally {
    await handle.close();
  }
}

/** Reads every tensor of the file(s) at `path`, each as the element type of the file; for small files and tests. */
export async function readSafetensors(path: string): Promise<Record<string, Tensor>> {
  const files = await openSafetensors(path);
  const tensors: [string, Tensor][] = [];
  for (const name of files.tensors.keys()) tensors.push([name, await readTensor(files, name)]);
  return Object.fromEntries(tensors);
}

/** Bytes of a stored tensor, read piece by piece. */
export interface TensorBytes extends AsyncDisposable {
  /** @throws UltramemError safetensors-truncated, weights-unreadable */
  read(at: number, length: number): Promise<Uint8Array>;
}

/** Opens the file of a tensor. */
export async function openTensor({ path, begin }: StoredTensor): Promise<TensorBytes> {
  const handle = await openFile(path);
  return {
    read: (at, length) => readBytes(handle, path, begin + at, length),
    [Symbol.asyncDispose]: () => handle.close(),
  };
}

async function locate(path: string): Promise<string> {
  const kind = await stat(path).catch((cause) => {
    throw weightsNotFound(path, cause);
  });
  if (!kind.isDirectory()) return path;
  for (const name of ['model.safetensors', 'model.safetensors.index.json']) {
    const inside = join(path, name);
    if (await stat(inside).catch(() => undefined)) return inside;
  }
  throw weightsNotFound(path, undefined);
}

async function openFile(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') throw weightsNotFound(path, cause);
    throw weightsUnreadable(path, (cause as Error).message, cause);
  }
}

async function readHeader(path: string): Promise<SafetensorsHeader> {
  const handle = await openFile(path);
  try {
    const kind = await handle.stat();
    if (!kind.isFile()) throw weightsUnreadable(path, 'it is not a regular file');
    const first = await readBytes(handle, path, 0, Math.min(8, kind.size));
    const length = headerLength(path, first, kind.size);
    return parseHeader(path, await readBytes(handle, path, 8, length), kind.size);
  } finally {
    await handle.close();
  }
}

/** Bytes that are read at once at most. */
const pieceBytes = 64 << 20;

async function readBytes(
  handle: FileHandle,
  path: string,
  begin: number,
  length: number,
  { signal, onBytes }: ReadOptions = {},
): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length; ) {
    if (signal?.aborted) throw aborted('reading weights', signal.reason);
    const { bytesRead } = await handle
      .read(bytes, done, Math.min(length - done, pieceBytes), begin + done)
      .catch((cause: Error) => {
        throw weightsUnreadable(path, cause.message, cause);
      });
    if (bytesRead === 0) throw safetensorsTruncated(path, `byte ${begin + done} is gone since the header was read`);
    done += bytesRead;
    onBytes?.(bytesRead);
  }
  return bytes;
}

async function readStored<D extends DType>(
  handle: FileHandle,
  stored: StoredTensor,
  dtype: D | undefined,
  options: ReadOptions,
): Promise<Tensor<D>> {
  const { path, name } = stored;
  const [own, ...others] = readableAs(stored.dtype);
  if (own === undefined || !(dtype === undefined || [own, ...others].includes(dtype))) {
    throw weightsDtypeUnsupported(path, name, stored.dtype, dtype);
  }
  let raw: Tensor;
  try {
    raw = { ...zeros(own, [0]), shape: stored.shape } as Tensor;
    const bytes = await readBytes(handle, path, stored.begin, stored.end - stored.begin, options);
    raw = {
      ...raw,
      data: new (raw.data.constructor as Float32ArrayConstructor)(bytes.buffer as ArrayBuffer),
    } as Tensor;
    return convert(raw, (dtype ?? own) as D);
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw cause.message.startsWith('holds')
      ? weightsValueRange(path, name, cause.message)
      : weightsUnreadable(path, `no memory for tensor "${name}"`, cause);
  }
}

async function openShards(source: string, indexPath: string): Promise<SafetensorsFiles> {
  let index: unknown;
  try {
    index = JSON.parse(await readFile(indexPath, 'utf8'));
  } catch (cause) {
    throw weightsIndexInvalid(indexPath, (cause as Error).message, cause);
  }
  const map = (index as { weight_map?: unknown } | null)?.weight_map;
  if (typeof map !== 'object' || map === null || Array.isArray(map)) {
    throw weightsIndexInvalid(indexPath, '"weight_map" is missing');
  }
  const shards = new Map<string, Map<string, StoredTensor>>();
  const tensors = new Map<string, StoredTensor>();
  const metadata: Record<string, string> = {};
  for (const [name, file] of Object.entries(map)) {
    // Shards lie beside their index: an index cannot point elsewhere on the disk.
    if (typeof file !== 'string' || isAbsolute(file) || file.split(/[\\/]/).includes('..')) {
      throw weightsIndexInvalid(
        indexPath,
        `"${name}" lies in ${JSON.stringify(file)}, which is no file beside the index`,
      );
    }
    let shard = shards.get(file);
    if (shard === undefined) {
      const header = await readHeader(join(dirname(indexPath), file));
      shard = new Map(header.tensors.map((t) => [t.name, t]));
      shards.set(file, shard);
      Object.assign(metadata, header.metadata);
    }
    const stored = shard.get(name);
    if (stored === undefined) throw weightsIndexInvalid(indexPath, `${file} has no tensor "${name}"`);
    tensors.set(name, stored);
  }
  return { source, metadata, tensors };
}
