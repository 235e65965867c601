// Cases computed by the reference implementation: how they are read, run, and compared.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Model } from 'ultramem';
import { referenceName, referencePermutation } from 'ultramem/models';
import languageModel from '../../examples/language-model.ts';
import layer from '../../examples/layer.ts';
import memoryPlusLayers from '../../examples/memory-plus-layers.ts';
import ultramemV2Layers from '../../examples/ultramem-v2-layers.ts';
import type { Graph } from '../../src/ir/graph.ts';
import { transpose } from '../../src/ir/ops/transpose.ts';
import { openSafetensors, readTensor, type SafetensorsFiles } from '../../src/runtime/safetensors.ts';
import { type Tensor, tensor } from '../../src/support/tensor.ts';

export const goldens = fileURLToPath(new URL('goldens/', import.meta.url));

export const caseNames: readonly string[] = readdirSync(goldens)
  .filter((file) => file.endsWith('.json'))
  .map((file) => file.slice(0, -'.json'.length))
  .sort();

/** A case: what builds its model, and its tensors by the names of goldens (`in.`, `w.`, `mid.`, `out.`). */
export interface Case {
  readonly name: string;
  readonly description: { readonly kind: string; readonly config: unknown };
  readonly files: SafetensorsFiles;
}

export async function openCase(name: string): Promise<Case> {
  const description = JSON.parse(readFileSync(join(goldens, `${name}.json`), 'utf8'));
  return { name, description, files: await openSafetensors(join(goldens, `${name}.safetensors`)) };
}

const examples: Readonly<Record<string, (config: unknown) => Model>> = {
  ultramem_v1_layer: layer,
  ultramem_v2_layers: ultramemV2Layers,
  memory_plus_layers: memoryPlusLayers,
  lm: languageModel,
};

export const modelOf = ({ description }: Case): Model => examples[description.kind]!(description);

/** The case's weights by the model's names and in its element types. */
export async function weightsOf({ files }: Case, graph: Graph): Promise<Map<string, Tensor>> {
  const weights = new Map<string, Tensor>();
  for (const { name, type } of graph.weights) weights.set(name, await readTensor(files, `w.${name}`, type.dtype));
  return weights;
}

/** The model's inputs; x [batch,length,D] and ids [batch,length] become flat tokens, token t = sequence·length + position. */
export async function inputsOf({ files }: Case, graph: Graph): Promise<Record<string, Tensor>> {
  if (!files.tensors.has('in.ids')) {
    const inputs: Record<string, Tensor> = {};
    for (const { id } of graph.inputs) {
      const x = await readTensor(files, `in.${referenceName(id)}`, 'f32');
      const width = x.shape.at(-1)!;
      inputs[id] = tensor('f32', [x.data.length / width, width], x.data);
    }
    return inputs;
  }
  const ids = await readTensor(files, 'in.ids', 'i32');
  const [batch, length] = ids.shape as [number, number];
  const flat = (value: (t: number) => number) =>
    tensor(
      'i32',
      [batch * length],
      Int32Array.from(ids.data, (_, t) => value(t)),
    );
  return {
    ids: tensor('i32', [batch * length], ids.data),
    positions: flat((t) => t % length),
    sequence: flat((t) => Math.floor(t / length)),
  };
}

/** A golden tensor in the order of the tap or output of its name, floats as f32 and indices as i32. */
export async function expected({ files }: Case, name: string): Promise<Tensor> {
  const stored = files.tensors.get(name)!;
  const read = await readTensor(files, name, stored.dtype === 'I64' ? 'i32' : 'f32');
  const perm = referencePermutation(name, stored.shape.length);
  return perm === undefined ? read : transpose.run([read], { perm }, {})[0]!;
}

/** ‖got − wanted‖ / ‖wanted‖; NaN where the sizes differ. */
export function relativeL2(got: Tensor, wanted: Tensor): number {
  if (got.data.length !== wanted.data.length) return Number.NaN;
  let difference = 0;
  let size = 0;
  for (let i = 0; i < wanted.data.length; i++) {
    difference += (Number(got.data[i]) - Number(wanted.data[i])) ** 2;
    size += Number(wanted.data[i]) ** 2;
  }
  return Math.sqrt(difference) / Math.max(Math.sqrt(size), Number.MIN_VALUE);
}

/** How many integers differ; NaN where the sizes do. */
export function differing(got: Tensor, wanted: Tensor): number {
  if (got.data.length !== wanted.data.length) return Number.NaN;
  let count = 0;
  for (let i = 0; i < wanted.data.length; i++) if (got.data[i] !== wanted.data[i]) count++;
  return count;
}
