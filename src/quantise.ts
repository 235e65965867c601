// A checkpoint of floats → one whose value tables and keys are bytes with a scale per row. Piece by piece: tables may be larger than
// memory.

import { valuesOf } from './runtime/convert.ts';
import { axisNote, dequantise, quantise, type Sharing, sharingOf } from './runtime/quantise.ts';
import { openSafetensors, openTensor, type StoredTensor, type TensorBytes } from './runtime/safetensors.ts';
import { composeSafetensors, type TensorEntry, type WriteBytes } from './runtime/safetensors-write.ts';
import { type QuantisedDType, scaleName } from './support/dtype.ts';
import { weightsNotFinite, weightsNothingToQuantise, weightsQuantisedTwice } from './support/errors/weights.ts';
import type { OnProgress } from './support/progress.ts';

export interface QuantiseOptions {
  /** What value tables become, a scale per row; undefined: they stay as they are. */
  readonly tables: QuantisedDType | undefined;
  /** What keys become, a scale per head, side, key and rank. */
  readonly keys: QuantisedDType | undefined;
  /**
   * Names of tensors, where `*` stands for any text, in place of `*values_for_look_up` and `*keys`. Keys of three axes and more are
   * then still quantised as keys are, all others by rows.
   */
  readonly tensors?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: OnProgress | undefined;
}

/** What was made of a tensor. */
export interface QuantisedTensor {
  readonly name: string;
  readonly kind: 'table' | 'keys';
  readonly dtype: QuantisedDType;
  readonly shape: readonly number[];
  /** The axis whose elements share a scale. */
  readonly axis: number;
  /** Scales. */
  readonly rows: number;
  readonly bytesBefore: number;
  /** With scales. */
  readonly bytesAfter: number;
  /** Largest error of an element, relative to the largest of its row. */
  readonly maxError: number;
  /** Root of the summed squares of errors, relative to that of values. */
  readonly rmsError: number;
}

export interface QuantisedFile {
  readonly tensors: readonly QuantisedTensor[];
  readonly bytesBefore: number;
  readonly bytesAfter: number;
}

/** About how many bytes are held at a time. */
const pieceBytes = 8 << 20;

/**
 * Writes the checkpoint at `from` to `to`, quantised: tensor X as I8 or F8_E4M3 in its shape, `X.scale` f32 beside it, and in the
 * metadata which axis the scale lacks. All else is copied byte for byte.
 * @throws UltramemError weights-not-finite, weights-nothing-to-quantise, weights-quantised-twice, weights-unwritable, and those of
 * openSafetensors
 */
export async function quantiseWeights(from: string, to: string, options: QuantiseOptions): Promise<QuantisedFile> {
  const files = await openSafetensors(from);
  const stored = [...files.tensors.values()];
  const chosen = new Map(stored.flatMap((tensor) => choose(tensor, options)));
  if (chosen.size === 0) throw weightsNothingToQuantise(from, options.tensors ?? '*values_for_look_up, *keys');
  for (const name of chosen.keys()) {
    if (files.tensors.has(scaleName(name))) throw weightsQuantisedTwice(from, name);
  }
  const entries = stored.flatMap((tensor): TensorEntry[] => {
    const { name, shape } = tensor;
    const choice = chosen.get(name);
    if (choice === undefined) return [tensor];
    const scale = {
      name: scaleName(name),
      dtype: 'F32',
      shape: shape.filter((_, axis) => axis !== choice.axis),
    } as const;
    return [{ name, dtype: choice.dtype === 'i8' ? 'I8' : 'F8_E4M3', shape }, scale];
  });
  const notes = Object.fromEntries([...chosen].map(([name, { axis }]) => axisNote(name, axis)));
  const bytesBefore = stored.reduce((sum, tensor) => sum + size(tensor), 0);
  const reports: QuantisedTensor[] = [];
  let done = 0;
  await composeSafetensors(to, entries, { ...files.metadata, ...notes }, async (write) => {
    for (const tensor of stored) {
      await using bytes = await openTensor(tensor);
      const took = (count: number): void => {
        options.signal?.throwIfAborted();
        done += count;
        options.onProgress?.({ stage: tensor.name, done, total: bytesBefore });
      };
      const choice = chosen.get(tensor.name);
      if (choice === undefined) await copyBytes(bytes, tensor, write, took);
      else reports.push(await quantiseTensor(bytes, tensor, choice, write, took, from));
    }
  });
  const saved = reports.reduce((sum, report) => sum + report.bytesBefore - report.bytesAfter, 0);
  return { tensors: reports, bytesBefore, bytesAfter: bytesBefore - saved };
}

interface Choice {
  readonly kind: 'table' | 'keys';
  readonly dtype: QuantisedDType;
  readonly axis: number;
}

/** Tables [rows,width] over their last axis, keys [heads,2,n,dim] or [heads,2,n,dim,ranks] over dim. */
function choose(tensor: StoredTensor, { tables, keys, tensors }: QuantiseOptions): [string, Choice][] {
  const { name, dtype, shape } = tensor;
  const named = tensors === undefined ? undefined : matcher(tensors);
  if (!['F32', 'F16', 'BF16'].includes(dtype) || shape.length < 2 || shape.includes(0)) return [];
  const isKeys = /(^|\.)keys$/.test(name) && shape.length >= 3;
  const wanted = named?.test(name) ?? (isKeys || name.endsWith('values_for_look_up'));
  const to = isKeys ? keys : tables;
  if (!wanted || to === undefined) return [];
  const axis = isKeys ? Math.min(3, shape.length - 1) : shape.length - 1;
  return [[name, { kind: isKeys ? 'keys' : 'table', dtype: to, axis }]];
}

/** A name with `*` for any text. */
const matcher = (pattern: string): RegExp =>
  new RegExp(
    `^${pattern
      .split('*')
      .map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'))
      .join('.*')}$`,
  );

const size = ({ begin, end }: StoredTensor): number => end - begin;

async function copyBytes(
  bytes: TensorBytes,
  tensor: StoredTensor,
  write: WriteBytes,
  took: (count: number) => void,
): Promise<void> {
  for (let at = 0; at < size(tensor); at += pieceBytes) {
    const piece = await bytes.read(at, Math.min(pieceBytes, size(tensor) - at));
    await write(tensor.name, at, piece);
    took(piece.length);
  }
}

async function quantiseTensor(
  bytes: TensorBytes,
  tensor: StoredTensor,
  { kind, dtype, axis }: Choice,
  write: WriteBytes,
  took: (count: number) => void,
  source: string,
): Promise<QuantisedTensor> {
  const { name, shape } = tensor;
  const sharing = sharingOf(shape, axis);
  const count = shape.reduce((n, d) => n * d, 1);
  const width = size(tensor) / count;
  const block = sharing.shared * sharing.inner;
  const step = block * Math.max(1, Math.floor(pieceBytes / (4 * block)));
  const errors = new Errors();
  for (let at = 0; at < count; at += step) {
    const elements = Math.min(step, count - at);
    const raw = await bytes.read(at * width, elements * width);
    const values = valuesOf(raw, tensor.dtype);
    const rows = quantise(values, sharing, dtype);
    const first = at / sharing.shared;
    if (typeof rows === 'number') {
      throw weightsNotFinite(source, name, `has an element that is not finite in row ${first + rows}`);
    }
    errors.add(values, dequantise(dtype, rows.data, rows.scale, sharing), sharing);
    await write(name, at, new Uint8Array(rows.data.buffer));
    await write(scaleName(name), 4 * first, new Uint8Array(rows.scale.buffer));
    took(raw.length);
  }
  const scales = count / sharing.shared;
  const report = { name, kind, dtype, shape, axis, rows: scales, bytesBefore: size(tensor) };
  return { ...report, bytesAfter: count + 4 * scales, ...errors.figures() };
}

/** How far values have come from what they were. */
class Errors {
  #most = 0;
  #squares = 0;
  #total = 0;

  add(before: Float32Array, after: Float32Array, { shared, inner }: Sharing): void {
    for (let first = 0; first < before.length; first += shared * inner) {
      for (let i = first; i < first + inner; i++) {
        let [largest, error] = [0, 0];
        for (let e = i; e < first + shared * inner; e += inner) {
          const difference = Math.abs(before[e]! - after[e]!);
          largest = Math.max(largest, Math.abs(before[e]!));
          error = Math.max(error, difference);
          this.#squares += difference ** 2;
          this.#total += before[e]! ** 2;
        }
        if (largest > 0) this.#most = Math.max(this.#most, error / largest);
      }
    }
  }

  figures(): { readonly maxError: number; readonly rmsError: number } {
    return { maxError: this.#most, rmsError: this.#total > 0 ? Math.sqrt(this.#squares / this.#total) : 0 };
  }
}
