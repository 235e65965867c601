// The header of a safetensors file: 8 bytes little-endian length, JSON, then raw data. Everything in it is checked
// against the size of the file before a byte is allocated for any tensor.

import {
  safetensorsDtypeUnknown,
  safetensorsDuplicateName,
  safetensorsGap,
  safetensorsHeaderInvalid,
  safetensorsHeaderTooLarge,
  safetensorsOffsetsInvalid,
  safetensorsOverlap,
  safetensorsShapeInvalid,
  safetensorsTruncated,
} from '../support/errors/weights.ts';

/** Bytes per element of every dtype the format knows; only some can be read (see convert.ts). */
export const storedBytes = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
  U16: 2,
  I16: 2,
  F16: 2,
  BF16: 2,
  U32: 4,
  I32: 4,
  F32: 4,
  U64: 8,
  I64: 8,
  F64: 8,
} as const;

export type StoredDType = keyof typeof storedBytes;

/** Where a tensor lies: bytes `begin`..`end` of `path`. */
export interface StoredTensor {
  readonly name: string;
  readonly dtype: StoredDType;
  readonly shape: readonly number[];
  readonly path: string;
  readonly begin: number;
  readonly end: number;
}

export interface SafetensorsHeader {
  readonly metadata: Readonly<Record<string, string>>;
  /** In order of the data. */
  readonly tensors: readonly StoredTensor[];
}

/** Longest header accepted; the format's own limit. */
export const headerLimit = 100_000_000;

/**
 * Length of the JSON that follows the first 8 bytes.
 * @throws safetensors-truncated, safetensors-header-too-large
 */
export function headerLength(path: string, first: Uint8Array, fileBytes: number): number {
  if (fileBytes < 8 || first.length < 8) throw safetensorsTruncated(path, `${fileBytes} bytes cannot hold a header`);
  const length = new DataView(first.buffer, first.byteOffset, 8).getBigUint64(0, true);
  if (length > BigInt(headerLimit)) throw safetensorsHeaderTooLarge(path, length, headerLimit);
  if (Number(length) > fileBytes - 8) {
    throw safetensorsTruncated(path, `the header needs ${length} bytes, ${fileBytes - 8} are there`);
  }
  return Number(length);
}

/**
 * Parses and checks the JSON of a header: names, dtypes, shapes, offsets; no overlap, no gap, nothing past the end.
 * @param json the bytes after the length
 * @throws UltramemError with a safetensors-* code
 */
export function parseHeader(path: string, json: Uint8Array, fileBytes: number): SafetensorsHeader {
  const root = parseObject(path, json);
  const dataStart = 8 + json.length;
  const tensors: StoredTensor[] = [];
  let metadata: Record<string, string> = {};
  for (const [name, entry] of Object.entries(root)) {
    if (name === '__metadata__') metadata = checkMetadata(path, entry);
    else tensors.push(checkEntry(path, name, entry, dataStart, fileBytes));
  }
  tensors.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let end = dataStart;
  let previous = '';
  for (const { name, begin, end: next } of tensors) {
    if (begin < end) throw safetensorsOverlap(path, name, previous);
    if (begin > end) throw safetensorsGap(path, name, end - dataStart, begin - dataStart);
    if (next > end) previous = name;
    end = next;
  }
  if (end !== fileBytes) throw safetensorsGap(path, '', end - dataStart, fileBytes - dataStart);
  return { metadata, tensors };
}

function parseObject(path: string, json: Uint8Array): Record<string, unknown> {
  let root: unknown;
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(json);
    root = JSON.parse(text);
  } catch (cause) {
    throw safetensorsHeaderInvalid(path, 'it is not JSON', cause);
  }
  if (!isRecord(root)) throw safetensorsHeaderInvalid(path, 'it is not a JSON object');
  const twice = duplicateKey(text);
  if (twice !== undefined) throw safetensorsDuplicateName(path, twice);
  return root;
}

/** First key that stands twice in one object of a valid JSON text: JSON.parse would keep the last in silence. */
export function duplicateKey(text: string): string | undefined {
  const open: Set<string>[] = []; // keys seen, per open object or array
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (char === '{' || char === '[') open.push(new Set());
    else if (char === '}' || char === ']') open.pop();
    else if (char === '"') {
      const start = at;
      for (at++; text[at] !== '"'; at++) if (text[at] === '\\') at++;
      let next = at + 1;
      while (text.charCodeAt(next) <= 32) next++; // JSON knows no other white space
      if (text[next] !== ':') continue;
      const key = JSON.parse(text.slice(start, at + 1)) as string;
      if (open.at(-1)?.has(key)) return key;
      open.at(-1)?.add(key);
    }
  }
  return undefined;
}

function checkMetadata(path: string, entry: unknown): Record<string, string> {
  if (!isRecord(entry) || Object.values(entry).some((value) => typeof value !== 'string')) {
    throw safetensorsHeaderInvalid(path, '"__metadata__" is not an object of strings');
  }
  return entry as Record<string, string>;
}

function checkEntry(path: string, name: string, entry: unknown, dataStart: number, fileBytes: number): StoredTensor {
  if (!isRecord(entry)) throw safetensorsHeaderInvalid(path, `"${name}" is not an object`);
  const { dtype, shape, data_offsets: offsets } = entry;
  if (typeof dtype !== 'string' || !Object.hasOwn(storedBytes, dtype)) {
    throw safetensorsDtypeUnknown(path, name, JSON.stringify(dtype) ?? 'undefined', Object.keys(storedBytes));
  }
  if (!Array.isArray(shape) || !shape.every(isSize)) {
    throw safetensorsShapeInvalid(path, name, 'not a list of non-negative integers');
  }
  let bytes: number = storedBytes[dtype as StoredDType];
  for (const dim of shape) {
    bytes *= dim;
    if (!Number.isSafeInteger(bytes)) throw safetensorsShapeInvalid(path, name, 'its size overflows');
  }
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize)) {
    throw safetensorsOffsetsInvalid(path, name, 'data_offsets is not a pair of non-negative integers');
  }
  const [from, to] = offsets as [number, number];
  if (to < from) throw safetensorsOffsetsInvalid(path, name, `data_offsets [${from}, ${to}] run backwards`);
  if (to > fileBytes - dataStart) {
    throw safetensorsOffsetsInvalid(path, name, `data_offsets [${from}, ${to}] lie past the end of the file`);
  }
  if (to - from !== bytes) {
    throw safetensorsOffsetsInvalid(
      path,
      name,
      `${dtype}[${shape}] needs ${bytes} bytes, data_offsets hold ${to - from}`,
    );
  }
  return { name, dtype: dtype as StoredDType, shape, path, begin: dataStart + from, end: dataStart + to };
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
