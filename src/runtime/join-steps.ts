// Several small steps as one: tokens are flat, so steps of different sequences stand side by side.

import { elements, type HostArrays, type Tensor, zeros } from '../support/tensor.ts';
import type { ModelDescription } from './description.ts';
import type { Choice } from './sampling.ts';

/** Named tensors of one step. */
export type StepTensors = Readonly<Record<string, Tensor>>;

/** The token symbol of a model all of whose inputs and outputs are [T, …] with fixed further dims; undefined for others. */
export function joinableSymbol({ inputs, outputs, symbols }: ModelDescription): string | undefined {
  const token = symbols.find(({ scope }) => scope === 'step')?.name;
  const flat = [...inputs, ...outputs].every(
    ({ shape }) => shape[0] === token && shape.slice(1).every((dim) => typeof dim === 'number'),
  );
  return flat ? token : undefined;
}

/** Each name's tensors, one after another along their first axis. */
export function joinTensors(parts: readonly StepTensors[]): Record<string, Tensor> {
  const joined: Record<string, Tensor> = {};
  for (const name of Object.keys(parts[0]!)) {
    const { dtype, shape } = parts[0]![name]!;
    const rows = parts.reduce((sum, part) => sum + part[name]!.shape[0]!, 0);
    const whole = zeros(dtype, [rows, ...shape.slice(1)]);
    let at = 0;
    for (const part of parts) {
      const { data } = part[name]!;
      (whole.data as Float32Array).set(data as Float32Array, at);
      at += data.length;
    }
    joined[name] = whole;
  }
  return joined;
}

/** Each part's choices, one after another, of rows that follow the `counts` rows of the parts before. */
export function joinChoices(parts: readonly (readonly Choice[])[], counts: readonly number[]): Choice[] {
  let first = 0;
  return parts.flatMap((choices, i) => {
    const joined = choices.map((choice) => ({ ...choice, row: first + choice.row }));
    first += counts[i] ?? 0;
    return joined;
  });
}

/** The reverse of joinTensors: rows `counts[i]` of every tensor to part i. Parts are copies. */
export function splitTensors(whole: StepTensors, counts: readonly number[]): Record<string, Tensor>[] {
  let row = 0;
  return counts.map((count) => {
    const part: Record<string, Tensor> = {};
    for (const [name, { dtype, shape, data }] of Object.entries(whole)) {
      const width = elements(shape.slice(1));
      const rows = (data as HostArrays['f32']).slice(row * width, (row + count) * width);
      part[name] = { dtype, shape: [count, ...shape.slice(1)], data: rows } as Tensor;
    }
    row += count;
    return part;
  });
}
