// A checkpoint against a model: which stored tensor becomes which weight, or one error that lists all that does not fit.

import { fileURLToPath } from 'node:url';
import { type DType, dtypeBytes, isQuantised, scaleName } from '../support/dtype.ts';
import { aborted } from '../support/errors/session.ts';
import {
  weightsMismatch,
  weightsNotFinite,
  weightsNotInPlace,
  weightsScaleInvalid,
} from '../support/errors/weights.ts';
import { nearest } from '../support/suggest.ts';
import type { Tensor } from '../support/tensor.ts';
import { convert, readableAs, storedName } from './convert.ts';
import {
  type DescribedWeight,
  describedType,
  type ModelDescription,
  type SymbolValues,
  sizesOf,
} from './description.ts';
import { dequantise, firstBadScale, notedAxis, quantise, type Sharing, sharingOf } from './quantise.ts';
import {
  openSafetensors,
  type ReadOptions,
  readTensor,
  type SafetensorsFiles,
  type StoredDType,
  type StoredTensor,
} from './safetensors.ts';

/** A path (see openSafetensors), opened files, or tensors by name. */
export type WeightsLike = string | URL | SafetensorsFiles | Readonly<Record<string, Tensor>>;

export interface MatchOptions {
  /** Ignore tensors that the model does not use. Names that begin with `in.`, `mid.` or `out.` are always ignored. */
  readonly allowExtra?: boolean;
}

/** Where a weight's elements are: in a file, in memory, or nowhere (an optional weight: zeros; scales of a table that is quantised). */
export interface MatchedWeight {
  readonly weight: DescribedWeight;
  readonly shape: readonly number[];
  readonly found: StoredTensor | Tensor | undefined;
  /** Of quantised elements that the model wants as floats. */
  readonly scale?: MatchedScale | undefined;
}

export interface MatchedScale extends Sharing {
  readonly found: StoredTensor | Tensor;
}

export interface MatchedWeights {
  readonly source: string;
  readonly files: SafetensorsFiles | undefined;
  /** In the model's order. */
  readonly weights: readonly MatchedWeight[];
}

/**
 * Finds every weight of the model. A checkpoint may put `w.` before all names.
 * @throws UltramemError weights-mismatch, and those of openSafetensors
 */
export async function matchWeights(
  model: ModelDescription,
  given: WeightsLike,
  options: MatchOptions = {},
): Promise<MatchedWeights> {
  const files = await filesOf(given);
  const source = files?.source ?? 'the given tensors';
  const stored: ReadonlyMap<string, StoredTensor | Tensor> =
    files?.tensors ?? new Map(Object.entries(given as Readonly<Record<string, Tensor>>));
  const prefix = namePrefix(model, stored);
  const bounds: SymbolValues = Object.fromEntries(model.symbols.map((s) => [s.name, s.bound]));
  const find = (name: string) => stored.get(prefix + name);
  const metadata = files?.metadata ?? {};
  /** Scales that are made when their table is quantised. */
  const made = new Set(
    model.weights
      .filter(({ name, dtype }) => isQuantised(dtype) && floats.includes(storedDtype(find(name)) ?? ''))
      .map(({ name }) => scaleName(name)),
  );
  const scales = new Map<string, FoundScale>();
  const weights = model.weights.map((weight): MatchedWeight => {
    const { name } = weight;
    const found = made.has(name) ? undefined : find(name);
    const shape = sizesOf(weight.shape, bounds);
    const matched = { weight, shape, found };
    if (!quantised.includes(storedDtype(found) ?? '') || !sameSizes(found!.shape, shape)) return matched;
    const own = findScale(find(scaleName(name)), shape, notedAxis(metadata, prefix + name), isQuantised(weight.dtype));
    scales.set(name, own);
    if (isQuantised(weight.dtype) || own.found === undefined) return matched;
    return { ...matched, scale: { found: own.found, ...sharingOf(shape, own.axis) } };
  });
  const wanted = [
    ...model.weights.map(({ name }) => name).filter((name) => !made.has(name)),
    ...[...scales.keys()].map(scaleName),
  ];
  const known = new Set(wanted.map((name) => prefix + name));
  const unused = [...stored.keys()].filter((name) => !known.has(name) && !/^(in|mid|out)\./.test(name));
  const badScales = [...scales].flatMap(([name, { fault }]) =>
    fault === undefined ? [] : [{ name: scaleName(name), ...fault }],
  );
  const lacks = new Set(badScales.filter(({ got }) => got === '').map(({ name }) => name));
  const misshapen = weights.flatMap(({ weight, shape, found }) =>
    found === undefined || sameSizes(found.shape, shape)
      ? []
      : [{ name: weight.name, got: `[${found.shape.join(',')}]`, wanted: `[${shape.join(',')}]` }],
  );
  const told = new Set([...lacks, ...misshapen.map(({ name }) => name)]);
  const mismatch = {
    missing: weights
      .filter(({ weight: { name, optional }, found }) => !(found || optional || made.has(name) || lacks.has(name)))
      .map(({ weight }) => ({ name: weight.name, type: describedType(weight) }))
      .concat(badScales.filter(({ name }) => lacks.has(name)).map(({ name, wanted: type }) => ({ name, type })))
      .map((one) => ({ ...one, didYouMean: nearest(one.name, unused) })),
    extra: options.allowExtra === true ? [] : unused,
    misshapen: [...misshapen, ...badScales.filter(({ name }) => !told.has(name))],
    wrongDtype: weights.flatMap(({ weight, found }) =>
      found === undefined || fits(storedDtype(found), weight.dtype)
        ? []
        : [{ name: weight.name, got: found.dtype, wanted: weight.dtype }],
    ),
  };
  if (Object.values(mismatch).some((list) => list.length > 0)) throw weightsMismatch(source, model.name, mismatch);
  return { source, files, weights };
}

/**
 * Weights that stay in their file are read there as they are; tensors handed over as arrays stay arrays.
 * @throws UltramemError weights-not-in-place
 */
export function requireInPlace({ weights }: MatchedWeights): void {
  for (const { weight, found } of weights) {
    if (weight.placement !== 'file' || found === undefined || !('path' in found)) continue;
    const stored = storedDtype(found);
    const size = dtypeBytes[weight.dtype];
    if (stored !== storedName[weight.dtype]) {
      throw weightsNotInPlace(found.path, found.name, stored.toLowerCase(), weight.dtype);
    }
    if (found.begin % size !== 0) throw weightsNotInPlace(found.path, found.name, `at byte ${found.begin}`, size);
  }
}

/**
 * Reads all matched weights into memory as declared; absent optional ones are left out. For the interpreter.
 * @throws UltramemError weights-scale-invalid, weights-not-finite, aborted, and those of readTensor
 */
export async function readWeights(matched: MatchedWeights, options: ReadOptions = {}): Promise<Map<string, Tensor>> {
  const read = new Map<string, Tensor>();
  const tensor = async <D extends DType>(found: StoredTensor | Tensor, dtype: D): Promise<Tensor<D>> => {
    if ('path' in found) return readTensor(matched.files!, found.name, dtype, options);
    if (options.signal?.aborted) throw aborted('reading weights', options.signal.reason);
    const converted = convert(found, dtype);
    options.onBytes?.(found.data.byteLength);
    return converted;
  };
  for (const { weight, shape, found, scale } of matched.weights) {
    if (found === undefined) continue;
    const { name, dtype } = weight;
    const own = storedDtype(found) === 'I8' ? 'i8' : 'f8';
    if (scale !== undefined) {
      const factors = (await tensor(scale.found, 'f32')).data;
      requireScale(matched.source, name, factors);
      const values = dequantise(own, (await tensor(found, own)).data, factors, scale);
      read.set(name, convert({ dtype: 'f32', shape, data: values }, dtype));
    } else if (isQuantised(dtype) && storedDtype(found) !== storedName[dtype]) {
      const rows = quantise((await tensor(found, 'f32')).data, sharingOf(shape, shape.length - 1), dtype);
      if (typeof rows === 'number') throw weightsNotFinite(matched.source, name, inRow(rows));
      read.set(name, { dtype, shape, data: rows.data } as Tensor);
      read.set(scaleName(name), { dtype: 'f32', shape: shape.slice(0, -1), data: rows.scale });
    } else {
      read.set(name, await tensor(found, dtype));
    }
  }
  for (const { weight, found } of matched.weights) {
    const factors = isQuantised(weight.dtype) && found !== undefined ? read.get(scaleName(weight.name)) : undefined;
    if (factors !== undefined) requireScale(matched.source, weight.name, factors.data as Float32Array);
  }
  return read;
}

/** Bytes that readWeights reads. */
export const storedBytes = ({ weights }: MatchedWeights): number =>
  weights.reduce((sum, { found, scale }) => sum + sizeOf(found) + sizeOf(scale?.found), 0);

function sizeOf(found: StoredTensor | Tensor | undefined): number {
  if (found === undefined) return 0;
  return 'path' in found ? found.end - found.begin : found.data.byteLength;
}

function requireScale(source: string, name: string, scale: Float32Array): void {
  const bad = firstBadScale(scale);
  if (bad >= 0) throw weightsScaleInvalid(source, name, `has a factor that is no finite number from 0, at ${bad}`);
}

const inRow = (row: number): string => `has an element that is not finite in row ${row}`;

const floats: readonly string[] = ['F32', 'F16', 'BF16'];
const quantised: readonly string[] = ['I8', 'F8_E4M3'];

/** Whether elements can become those of a model: as convert.ts says, or with scales. */
const fits = (stored: StoredDType, dtype: DType): boolean =>
  readableAs(stored).includes(dtype) ||
  (isQuantised(dtype) && floats.includes(stored)) ||
  ((dtype === 'f32' || dtype === 'bf16') && quantised.includes(stored));

interface FoundScale {
  readonly found: StoredTensor | Tensor | undefined;
  readonly axis: number;
  /** `got` is empty where there is none. */
  readonly fault?: { readonly got: string; readonly wanted: string };
}

/**
 * The scales of a quantised tensor: f32 of its shape without one axis. Which one a file's metadata says; else it is the last that
 * fits. `rows`: it must be the last.
 */
function findScale(
  found: StoredTensor | Tensor | undefined,
  shape: readonly number[],
  noted: number | undefined,
  rows: boolean,
): FoundScale {
  const last = shape.length - 1;
  const without = (axis: number): readonly number[] => shape.filter((_, i) => i !== axis);
  const axes = noted === undefined && !rows ? shape.map((_, axis) => axis) : [noted ?? last];
  const axis = axes.findLast((one) => found !== undefined && sameSizes(found.shape, without(one))) ?? -1;
  if (found !== undefined && axis >= 0 && storedDtype(found) === 'F32' && !(rows && axis !== last))
    return { found, axis };
  const shown = axes.map((one) => `f32[${without(one).join(',')}]`).join(' or ');
  const wanted = rows ? `f32[${without(last).join(',')}], over the last axis` : shown;
  const over = noted === undefined ? '' : `, over axis ${noted}`;
  const got = found === undefined ? '' : `${storedDtype(found)}[${found.shape.join(',')}]${over}`;
  return { found: undefined, axis: last, fault: { got, wanted } };
}

/** The format's name of a tensor's element type. */
export function storedDtype(found: StoredTensor | Tensor): StoredDType;
export function storedDtype(found: StoredTensor | Tensor | undefined): StoredDType | undefined;
export function storedDtype(found: StoredTensor | Tensor | undefined): StoredDType | undefined {
  return found === undefined ? undefined : 'path' in found ? found.dtype : storedName[found.dtype];
}

async function filesOf(given: WeightsLike): Promise<SafetensorsFiles | undefined> {
  if (typeof given === 'string') return openSafetensors(given);
  if (given instanceof URL) return openSafetensors(fileURLToPath(given));
  return given.tensors instanceof Map ? (given as SafetensorsFiles) : undefined;
}

/** `w.` when the names of the checkpoint carry it and the model's do not. */
function namePrefix(model: ModelDescription, stored: ReadonlyMap<string, unknown>): string {
  const hits = (prefix: string) => model.weights.filter((weight) => stored.has(prefix + weight.name)).length;
  return hits('w.') > hits('') ? 'w.' : '';
}

const sameSizes = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((size, i) => size === b[i]);
