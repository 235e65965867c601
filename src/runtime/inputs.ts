// A step's inputs before anything runs: names, element types, shapes, and every integer in its range.

import type { DType } from '../support/dtype.ts';
import {
  inputInvalid,
  inputMissing,
  inputUnknown,
  inputValueRange,
  positionPastCache,
  tokenOutOfRange,
  tooManyTokens,
} from '../support/errors/session.ts';
import { didYouMean } from '../support/suggest.ts';
import { elements, type HostArrays, type Tensor, zeros } from '../support/tensor.ts';
import {
  type DescribedTensor,
  describedType,
  type ModelDescription,
  type SymbolValues,
  sizesOf,
} from './description.ts';
import type { Staging } from './staging.ts';

/** A tensor, or its elements in row-major order: one symbolic dim then follows from their number. */
export type InputValue<D extends DType = DType> = Tensor<D> | HostArrays[D] | readonly number[];

export interface CheckedInputs {
  /** Copies: the caller may write to its arrays at once. */
  readonly inputs: Readonly<Record<string, Tensor>>;
  /** Values of the step's symbols. */
  readonly symbols: SymbolValues;
}

/**
 * Checks a step's inputs against the model and copies them.
 * @param session values of the session symbols
 * @param staging where copies of arrays come from; default: fresh ones
 * @throws UltramemError input-missing, input-unknown, input-invalid, input-value-range, token-out-of-range,
 *   position-past-cache, too-many-tokens
 */
export function checkInputs(
  model: ModelDescription,
  session: SymbolValues,
  given: Readonly<Record<string, InputValue>>,
  staging?: Staging,
): CheckedInputs {
  const names = model.inputs.map(({ name }) => name);
  for (const name of Object.keys(given)) {
    if (!names.includes(name)) throw inputUnknown(name, didYouMean(name, names));
  }
  const symbols: Record<string, number> = { ...session };
  const inputs: Record<string, Tensor> = {};
  for (const wanted of model.inputs) {
    const value = given[wanted.name];
    if (value === undefined) throw inputMissing(wanted.name, describedType(wanted));
    const tensor = copyOf(wanted, value, symbols, staging);
    bindSymbols(model, wanted, tensor.shape, symbols);
    checkRange(wanted, tensor, symbols);
    inputs[wanted.name] = tensor;
  }
  return { inputs, symbols };
}

function copyOf(
  wanted: DescribedTensor,
  value: InputValue,
  symbols: SymbolValues,
  staging: Staging | undefined,
): Tensor {
  const sample = zeros(wanted.dtype, [0]).data;
  const isTensor = typeof value === 'object' && value !== null && 'dtype' in value && 'shape' in value;
  const data = isTensor ? value.data : value;
  const got = isTensor ? value.dtype : Object.prototype.toString.call(data).slice(8, -1);
  if (
    Array.isArray(data) ? wanted.dtype !== 'i32' && wanted.dtype !== 'f32' : data?.constructor !== sample.constructor
  ) {
    throw inputInvalid(wanted.name, `is ${got}, not ${describedType(wanted)}`, { got, wanted: wanted.dtype });
  }
  if (isTensor && value.dtype !== wanted.dtype) {
    throw inputInvalid(wanted.name, `is ${got}, not ${describedType(wanted)}`, { got, wanted: wanted.dtype });
  }
  const shape = isTensor ? value.shape : inferShape(wanted, data.length, symbols);
  if (elements(shape) !== data.length) {
    throw inputInvalid(wanted.name, `has ${data.length} elements, its shape [${shape}] ${elements(shape)}`);
  }
  if (Array.isArray(data) && wanted.dtype === 'i32' && !data.every((x) => Number.isInteger(x) && x === (x | 0))) {
    throw inputInvalid(wanted.name, 'holds numbers that are no 32-bit integers');
  }
  const copy =
    staging !== undefined && !Array.isArray(data)
      ? staging.copy(data as HostArrays[DType])
      : new (sample.constructor as Float32ArrayConstructor)(data as unknown as Float32Array);
  return { dtype: wanted.dtype, shape: [...shape], data: copy } as Tensor;
}

/** The shape of `length` elements: at most one dim is a symbol without a value yet. */
function inferShape(wanted: DescribedTensor, length: number, symbols: SymbolValues): number[] {
  const open = wanted.shape.filter((dim) => typeof dim === 'string' && symbols[dim] === undefined);
  const known = elements(
    sizesOf(
      wanted.shape.filter((dim) => !open.includes(dim)),
      symbols,
    ),
  );
  if (open.length > 1)
    throw inputInvalid(wanted.name, `: give a tensor with its shape; ${describedType(wanted)} leaves it open`);
  const size = length / known;
  if (!Number.isInteger(size) || (open.length === 0 && size !== 1)) {
    throw inputInvalid(wanted.name, `has ${length} elements, which make no ${describedType(wanted)}`);
  }
  return wanted.shape.map((dim) => (typeof dim === 'number' ? dim : (symbols[dim] ?? size)));
}

function bindSymbols(
  model: ModelDescription,
  wanted: DescribedTensor,
  shape: readonly number[],
  symbols: Record<string, number>,
): void {
  const wrong = () => inputInvalid(wanted.name, `has shape [${shape}], not ${describedType(wanted)}`, { shape });
  if (shape.length !== wanted.shape.length) throw wrong();
  wanted.shape.forEach((dim, axis) => {
    const size = shape[axis]!;
    if (typeof dim === 'number') {
      if (size !== dim) throw wrong();
    } else if (symbols[dim] === undefined) {
      const bound = model.symbols.find(({ name }) => name === dim)?.bound ?? 0;
      if (size > bound) throw tooManyTokens(dim, size, bound);
      if (!(size >= 1)) throw inputInvalid(wanted.name, 'is empty');
      symbols[dim] = size;
    } else if (size !== symbols[dim]) {
      throw inputInvalid(wanted.name, `has ${size} where ${dim} is ${symbols[dim]}`, { shape });
    }
  });
}

function checkRange(wanted: DescribedTensor, { data }: Tensor, symbols: SymbolValues): void {
  if (wanted.below === undefined) return;
  const below = typeof wanted.below === 'number' ? wanted.below : symbols[wanted.below]!;
  for (let i = 0; i < data.length; i++) {
    const value = Number(data[i]);
    if (value >= 0 && value < below) continue;
    if (wanted.name === 'ids') throw tokenOutOfRange(i, value, below);
    if (wanted.name === 'positions' && value >= below) throw positionPastCache(value, below);
    throw inputValueRange(wanted.name, i, value, below);
  }
}
