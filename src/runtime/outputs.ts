// Arrays of a caller that outputs of a step go into, checked before anything runs.

import { outputInvalid } from '../support/errors/session.ts';
import { didYouMean } from '../support/suggest.ts';
import { elements, type HostArrays, type Tensor, zeros } from '../support/tensor.ts';
import { describedType, type ModelDescription, type SymbolValues, sizesOf } from './description.ts';

/** Arrays by the names of outputs, each as long as its output for the step's tokens. */
export type GivenOutputs = Readonly<Record<string, HostArrays[keyof HostArrays]>>;

/**
 * The given arrays as tensors.
 * @param symbols of the step, with those of the session
 * @throws UltramemError output-invalid: a name that the model lacks, another element type or length, memory given twice
 */
export function checkOutputs(
  { outputs }: ModelDescription,
  symbols: SymbolValues,
  given: GivenOutputs,
): Readonly<Record<string, Tensor>> {
  const names = outputs.map(({ name }) => name);
  const checked: Record<string, Tensor> = {};
  const memory = new Set<ArrayBufferLike>();
  for (const [name, data] of Object.entries(given)) {
    const wanted = outputs.find((output) => output.name === name);
    if (wanted === undefined) throw outputInvalid(name, `is none of the model's.${didYouMean(name, names)}`);
    const shape = sizesOf(wanted.shape, symbols);
    const sample = zeros(wanted.dtype, [0]).data;
    if (data?.constructor !== sample.constructor || data.length !== elements(shape)) {
      const length = ArrayBuffer.isView(data) ? ` of ${data.length}` : '';
      const got = `${Object.prototype.toString.call(data).slice(8, -1)}${length}`;
      const type = `${sample.constructor.name} of ${elements(shape)} for ${describedType(wanted)}`;
      throw outputInvalid(name, `is given ${got}, not ${type}`);
    }
    if (memory.has(data.buffer)) throw outputInvalid(name, 'is given memory that another output has');
    memory.add(data.buffer);
    checked[name] = { dtype: wanted.dtype, shape, data } as Tensor;
  }
  return checked;
}

/** The results of a step, those with given arrays in them; copied where an engine did not write there. */
export function placed(
  results: Readonly<Record<string, Tensor>>,
  given: Readonly<Record<string, Tensor>> | undefined,
): Record<string, Tensor> {
  for (const [name, to] of Object.entries(given ?? {})) {
    const { data } = results[name]!;
    if (data !== to.data) (to.data as Float32Array).set(data as Float32Array);
  }
  return { ...results, ...given };
}
