// A checkpoint against a model: which stored tensor becomes which weight, or one error that lists all that does not fit.

import { fileURLToPath } from 'node:url';
import { dtypeBytes } from '../support/dtype.ts';
import { weightsMismatch, weightsNotInPlace } from '../support/errors/weights.ts';
import { nearest } from '../support/suggest.ts';
import type { Tensor } from '../support/tensor.ts';
import { convert, readableAs } from './convert.ts';
import {
  type DescribedWeight,
  describedType,
  type ModelDescription,
  type SymbolValues,
  sizesOf,
} from './description.ts';
import { openSafetensors, readTensor, type SafetensorsFiles, type StoredTensor } from './safetensors.ts';

/** A path (see openSafetensors), opened files, or tensors by name. */
export type WeightsLike = string | URL | SafetensorsFiles | Readonly<Record<string, Tensor>>;

export interface MatchOptions {
  /** Ignore tensors that the model does not use. Names that begin with `in.`, `mid.` or `out.` are always ignored. */
  readonly allowExtra?: boolean;
}

/** Where a weight's elements are: in a file, in memory, or nowhere (an optional weight: zeros). */
export interface MatchedWeight {
  readonly weight: DescribedWeight;
  readonly shape: readonly number[];
  readonly found: StoredTensor | Tensor | undefined;
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
  const weights = model.weights.map(
    (weight): MatchedWeight => ({
      weight,
      shape: sizesOf(weight.shape, bounds),
      found: stored.get(prefix + weight.name),
    }),
  );
  const known = new Set(model.weights.map((weight) => prefix + weight.name));
  const unused = [...stored.keys()].filter((name) => !known.has(name) && !/^(in|mid|out)\./.test(name));
  const mismatch = {
    missing: weights
      .filter(({ weight, found }) => found === undefined && !weight.optional)
      .map(({ weight }) => ({
        name: weight.name,
        type: describedType(weight),
        didYouMean: nearest(weight.name, unused),
      })),
    extra: options.allowExtra === true ? [] : unused,
    misshapen: weights.flatMap(({ weight, shape, found }) =>
      found === undefined || sameSizes(found.shape, shape)
        ? []
        : [{ name: weight.name, got: `[${found.shape.join(',')}]`, wanted: `[${shape.join(',')}]` }],
    ),
    wrongDtype: weights.flatMap(({ weight, found }) =>
      found === undefined || readableAs(storedDtype(found)).includes(weight.dtype)
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
    const stored = storedDtype(found).toLowerCase();
    const size = dtypeBytes[weight.dtype];
    if (stored !== weight.dtype) throw weightsNotInPlace(found.path, found.name, stored, weight.dtype);
    if (found.begin % size !== 0) throw weightsNotInPlace(found.path, found.name, `at byte ${found.begin}`, size);
  }
}

/** Reads all matched weights into memory as declared; absent optional ones are left out. For the interpreter. */
export async function readWeights(matched: MatchedWeights): Promise<Map<string, Tensor>> {
  const read = new Map<string, Tensor>();
  for (const { weight, found } of matched.weights) {
    if (found === undefined) continue;
    const tensor =
      'path' in found ? await readTensor(matched.files!, found.name, weight.dtype) : convert(found, weight.dtype);
    read.set(weight.name, tensor);
  }
  return read;
}

/** The format's name of a tensor's element type. */
export const storedDtype = (found: StoredTensor | Tensor): StoredTensor['dtype'] =>
  found.dtype.toUpperCase() as StoredTensor['dtype'];

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
