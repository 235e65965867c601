// Inputs of a step from a safetensors file: by the model's names, or a batch as the reference keeps it.

import { referenceName } from '../models/index.ts';
import type { DescribedTensor } from '../runtime/description.ts';
import { readTensor, type SafetensorsFiles } from '../runtime/safetensors.ts';
import { inputsLacking } from '../support/errors/cli.ts';
import { type Tensor, tensor } from '../support/tensor.ts';

/** A step read from a file. */
export interface StepInputs {
  readonly inputs: Record<string, Tensor>;
  /** Sequences that the step spans: 1, or the batch. */
  readonly sequences: number;
  /** Whether the file names its tensors as the reference's cases do (`in.x`). */
  readonly prefixed: boolean;
}

/**
 * Reads the model's inputs; names may carry the prefix `in.`. [batch, length, …] becomes [T, …]: tokens are flat. A language
 * model's positions and sequence are filled in where the file has none: each row of `ids` is a sequence from position 0.
 * @throws UltramemError cli-inputs-lacking, and those of readTensor
 */
export async function readStepInputs(
  files: SafetensorsFiles,
  wanted: readonly Pick<DescribedTensor, 'name' | 'dtype' | 'shape'>[],
): Promise<StepInputs> {
  const prefixed = wanted.some(({ name }) => files.tensors.has(`in.${referenceName(name)}`));
  const inputs: Record<string, Tensor> = {};
  let length: number | undefined; // of a sequence, where the file has a batch of them
  for (const { name, dtype, shape } of wanted) {
    const stored = prefixed ? `in.${referenceName(name)}` : name;
    if (!files.tensors.has(stored)) continue;
    const found = await readTensor(files, stored, dtype);
    const batched = found.shape.length === shape.length + 1 && typeof shape[0] === 'string';
    if (batched) length = found.shape[1];
    inputs[name] = batched ? flattened(found) : found;
  }
  const { ids } = inputs;
  if (ids !== undefined && wanted.some(({ name }) => name === 'positions')) {
    const every = length ?? ids.data.length;
    const fill = (value: (token: number) => number): Tensor<'i32'> =>
      tensor(
        'i32',
        ids.shape,
        Int32Array.from(ids.data as Int32Array, (_, token) => value(token)),
      );
    inputs.positions ??= fill((token) => token % every);
    inputs.sequence ??= fill((token) => Math.floor(token / every));
  }
  const lacking = wanted.filter(({ name }) => inputs[name] === undefined).map(({ name }) => name);
  if (lacking.length > 0) throw inputsLacking(files.source, lacking, [...files.tensors.keys()]);
  const sequence = (inputs.sequence?.data ?? []) as Int32Array;
  return { inputs, sequences: sequence.reduce((most, s) => Math.max(most, s + 1), 1), prefixed };
}

/** [batch, length, …] as [batch · length, …]: tokens are flat. */
const flattened = ({ shape: [batch = 1, length = 1, ...rest], ...found }: Tensor): Tensor =>
  ({ ...found, shape: [batch * length, ...rest] }) as Tensor;
