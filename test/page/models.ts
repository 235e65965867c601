// Models that pages are written of in the tests: every example, with the configurations of the reference's cases where it takes one.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Model } from 'ultramem';
import bytesLm from '../../examples/bytes-lm/model.ts';
import languageModel from '../../examples/language-model.ts';
import layer from '../../examples/layer.ts';
import memoryPlusLayers from '../../examples/memory-plus-layers.ts';
import relatives from '../../examples/relatives.ts';
import twentyMillion from '../../examples/twenty-million/model.ts';
import ultramemV2Layers from '../../examples/ultramem-v2-layers.ts';
import gatedBlocks from '../../examples/variants/gated-blocks.ts';
import tuckerExperts from '../../examples/variants/tucker-experts.ts';
import tuckerSoftmax from '../../examples/variants/tucker-softmax.ts';
import { goldens } from '../reference/golden.ts';

const example = (path: string): string => fileURLToPath(new URL(`../../examples/${path}`, import.meta.url));
const config = (name: string): unknown => JSON.parse(readFileSync(join(goldens, `${name}.json`), 'utf8'));

/** A model with the file that it comes from. */
export interface Example {
  readonly file: string;
  readonly model: Model;
}

export const examples: readonly Example[] = [
  { file: example('bytes-lm/model.ts'), model: bytesLm },
  { file: example('relatives.ts'), model: relatives },
  { file: example('variants/gated-blocks.ts'), model: gatedBlocks },
  { file: example('variants/tucker-experts.ts'), model: tuckerExperts },
  { file: example('variants/tucker-softmax.ts'), model: tuckerSoftmax },
  { file: example('layer.ts'), model: layer(config('v1_odd')) },
  { file: example('ultramem-v2-layers.ts'), model: ultramemV2Layers(config('v2_small_e4_shared3')) },
  { file: example('memory-plus-layers.ts'), model: memoryPlusLayers(config('memory_plus_small')) },
  { file: example('language-model.ts'), model: languageModel(config('lm_v2_full')) },
  { file: example('twenty-million/model.ts'), model: twentyMillion({ mem_knum: 20 }) },
];

/** A decoder of twenty layers with three memories. */
export const deep = languageModel({
  name: 'deep',
  config: {
    d_model: 128,
    n_heads: 4,
    n_layers: 20,
    mlp_hidden_size: 512,
    activation_type: 'swiglu',
    vocab_size: 512,
    max_sequence_length: 512,
    mem_type: 'ultramem_v1',
    mem_insert_way: '3:5/8:10/13:15',
    mem_knum: 32,
    mem_kdim: 32,
    mem_vdim: 64,
    mem_knn: 8,
    mem_head: 2,
  },
});
