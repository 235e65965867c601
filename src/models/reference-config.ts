// Configurations of the reference implementation, key by key, as options of the presets.

import { badConfig } from '../dsl/index.ts';
import { type Config, type ConfigRules, readConfig } from './config.ts';
import type { DecoderOptions } from './decoder.ts';
import { type MemoryPlusOptions, memoryPlus, memoryPlusTable } from './memory-plus.ts';
import { parsePlacement } from './placement.ts';
import { type UltramemV1Options, ultramemV1 } from './ultramem-v1.ts';
import { type UltramemV2Options, ultramemV2, ultramemV2Tables } from './ultramem-v2.ts';

const layerRules: ConfigRules = {
  read: [
    ...['hidden_size', 'knum', 'kdim', 'vdim', 'knn', 'head', 'tucker_rank', 'tucker_multihead', 'value_expand_time'],
    ...['key_num', 'value_num', 'virtual_value_num', 'layer_norm_type', 'layer_norm_eps'],
  ],
  ignored: ['norm_fp32', 'weights_dtype', 'tucker_uv'],
  fixed: {},
};

/**
 * Options of a V1 layer from the reference's keys: `hidden_size`, `knum`, `kdim`, `vdim`, `knn`, and optionally `head`, `tucker_rank`,
 * `tucker_multihead`, `value_expand_time`, `layer_norm_type`, `layer_norm_eps`. Derived sizes (`key_num` …) are checked where given.
 * Throws `unknown-config` and `bad-config`.
 */
export function layerFromConfig(given: unknown): UltramemV1Options {
  const config = readConfig(given, layerRules);
  const knum = config.count('knum');
  const expansion = config.count('value_expand_time', 4);
  const derived = {
    key_num: Math.round(Math.sqrt(expansion)) * knum,
    value_num: knum ** 2,
    virtual_value_num: expansion * knum ** 2,
  };
  for (const [key, value] of Object.entries(derived)) {
    if (config.count(key, value) !== value)
      throw badConfig(key, `is ${value} by the other keys, not ${config.count(key)}`);
  }
  return {
    ...{ ...commonSizes(config), vdim: config.count('vdim'), expansion },
    ...{ rank: config.count('tucker_rank', 2), cores: config.count('tucker_multihead', 2) },
  };
}

const v2Rules: ConfigRules = {
  read: [
    ...['hidden_size', 'knum', 'kdim', 'vdim', 'pre_vdim', 'knn', 'head', 'tucker_rank', 'tucker_multihead'],
    ...['value_expand_time', 'mem_key_expand_time', 'mem_share_ratio', 'mem_layer_num', 'mem_use_glu_act'],
    ...['layer_norm_type', 'layer_norm_eps'],
  ],
  ignored: ['real_knum', 'key_num', 'value_num', 'all_value_num', 'offsets', 'virtual_value_num'],
  fixed: { mem_q_for_each_tucker_rank: [true] },
};

/**
 * Options of V2 layers over one table from the reference's keys: those of V1 layers, and `mem_layer_num`, `mem_share_ratio`,
 * `mem_key_expand_time`, `pre_vdim`, `mem_use_glu_act`. Derived sizes are ignored. Throws `unknown-config` and `bad-config`.
 */
export function v2LayersFromConfig(given: unknown): UltramemV2Options {
  const config = readConfig(given, v2Rules);
  return {
    ...{ ...commonSizes(config), vdim: config.count('vdim'), layers: config.count('mem_layer_num') },
    ...{ rank: config.count('tucker_rank', 2), cores: config.count('tucker_multihead', 2) },
    ...v2Keys(config, '', config.count('value_expand_time', 1)),
  };
}

const memoryPlusRules: ConfigRules = {
  read: ['hidden_size', 'knum', 'kdim', 'vdim', 'knn', 'head', 'mem_layer_num', 'layer_norm_type', 'layer_norm_eps'],
  ignored: [],
  fixed: {},
};

/** Options of `mem_layer_num` Memory+ layers over one table, from the reference's keys. Throws `unknown-config` and `bad-config`. */
export function memoryPlusLayersFromConfig(given: unknown): MemoryPlusOptions & { readonly layers: number } {
  const config = readConfig(given, memoryPlusRules);
  const sizes = commonSizes(config);
  if (config.count('vdim', sizes.width) !== sizes.width)
    throw badConfig('vdim', 'differs from hidden_size', 'Rows of a Memory+ table are as wide as the stream.');
  return { ...sizes, layers: config.count('mem_layer_num') };
}

/** Sizes that all layers have. */
const commonSizes = (config: Config) => ({
  ...{ width: config.count('hidden_size'), knum: config.count('knum'), kdim: config.count('kdim') },
  ...{ knn: config.count('knn'), heads: config.count('head', 2) },
  ...{ norm: config.oneOf('layer_norm_type', ['rms', 'layer'], 'rms'), eps: config.number('layer_norm_eps', 1e-5) },
});

const decoderRules: ConfigRules = {
  read: [
    ...['d_model', 'n_heads', 'n_kv_heads', 'n_layers', 'mlp_hidden_size', 'activation_type', 'max_sequence_length'],
    ...['vocab_size', 'embedding_size', 'weight_tying', 'attention_layer_norm', 'layer_norm_eps', 'rope_theta'],
    ...['mem_insert_way', 'mem_knum', 'mem_kdim', 'mem_vdim', 'mem_knn', 'mem_head', 'mem_type'],
    ...['mem_key_expand_time', 'mem_value_expand_time', 'mem_pre_vdim', 'mem_share_ratio', 'mem_use_glu_act'],
    'mem_value_placement',
  ],
  ignored: [
    ...['flash_attention', 'attention_dropout', 'residual_dropout', 'embedding_dropout', 'precision'],
    ...['init_device', 'init_fn', 'init_std', 'init_cutoff_factor', 'eos_token_id', 'pad_token_id'],
  ],
  fixed: {
    alibi: [false],
    rope: [true],
    rope_full_precision: [true],
    include_bias: [false],
    block_type: ['sequential'],
    layer_norm_type: ['rms'],
    layer_norm_with_affine: [true],
    bias_for_layer_norm: [false, null],
    attention_layer_norm_with_affine: [true],
    clip_qkv: [null],
    norm_after: [false],
    scale_logits: [false],
    // The reference's forward pass runs with nothing else.
    mem_q_for_each_tucker_rank: [true],
  },
};

/**
 * Options of a decoder from the reference's keys (`d_model`, `n_heads`, `mem_insert_way` …). Keys that only matter in training are
 * ignored. Memories are V1 (with expansion 4), V2 or Memory+; the reference fixes rank 2 and 2 cores. One key is not the reference's:
 * `mem_value_placement`, `file` for value tables that stay in the checkpoint's file.
 * Throws `unknown-config`, and `bad-config` for what the preset does not build, such as a `block_type` other than `sequential`.
 */
export function decoderFromConfig(given: unknown): DecoderOptions {
  const config = readConfig(given, decoderRules);
  const width = config.count('d_model');
  const layers = config.count('n_layers');
  const eps = config.number('layer_norm_eps', 1e-5);
  const vocab = config.count('vocab_size');
  const memories = parsePlacement(config.text('mem_insert_way', 'no_mem'), layers);
  const heads = config.count('n_heads');
  return {
    vocab,
    embeddingRows: config.count('embedding_size', vocab),
    width,
    layers,
    heads,
    kvHeads: config.count('n_kv_heads', heads),
    context: config.count('max_sequence_length'),
    feedForward: {
      kind: config.oneOf('activation_type', ['swiglu', 'gelu'], 'swiglu'),
      rows: config.count('mlp_hidden_size'),
    },
    queryKeyNorm: config.flag('attention_layer_norm', false),
    tied: config.flag('weight_tying', true),
    eps,
    theta: config.number('rope_theta', 10000),
    memories,
    ...(memories.length === 0 ? {} : { memory: memoryFromConfig(config, { width, eps, layers: memories.length }) }),
  };
}

function memoryFromConfig(
  config: Config,
  sizes: { readonly width: number; readonly eps: number; readonly layers: number },
): NonNullable<DecoderOptions['memory']> {
  const common = {
    ...{ width: sizes.width, eps: sizes.eps },
    ...{ knum: config.count('mem_knum'), kdim: config.count('mem_kdim'), knn: config.count('mem_knn') },
    heads: config.count('mem_head', 2),
    valuePlacement: config.oneOf('mem_value_placement', ['memory', 'file'], 'memory'),
  };
  const type = config.oneOf('mem_type', ['ultramem_v1', 'ultramem_v2', 'memory_plus']);
  if (type === 'memory_plus') {
    return (m, prefix) => {
      const table = memoryPlusTable(m, common, prefix);
      return (x, names) => memoryPlus(m, x, table, { ...common, ...names });
    };
  }
  const vdim = config.count('mem_vdim');
  if (type === 'ultramem_v1') {
    const fixed = { vdim, rank: 2, cores: 2, expansion: 4 };
    return (m) => (x, names) => ultramemV1(m, x, { ...common, ...fixed, ...names });
  }
  const options: UltramemV2Options = {
    ...{ ...common, vdim, layers: sizes.layers, rank: 2, cores: 2 },
    ...v2Keys(config, 'mem_', config.count('mem_value_expand_time', 1)),
  };
  return (m, prefix) => {
    const tables = ultramemV2Tables(m, options, prefix);
    return (x, names) => ultramemV2(m, x, tables, { ...options, ...names });
  };
}

/** Options of V2 that layers and language models name alike, but for a prefix. */
function v2Keys(config: Config, prefix: '' | 'mem_', valueExpansion: number) {
  const keyExpansion = config.count('mem_key_expand_time', 2);
  if (![1, keyExpansion ** 2].includes(valueExpansion)) {
    throw badConfig(
      `${prefix}value_expand_time`,
      `is ${valueExpansion}`,
      `Wanted: 1, or ${keyExpansion ** 2}, the square of mem_key_expand_time.`,
    );
  }
  return {
    ...{ keyExpansion, expandValues: valueExpansion !== 1 },
    share: config.number('mem_share_ratio', 1),
    preVdim: config.size(`${prefix}pre_vdim`, 0),
    preGelu: config.flag('mem_use_glu_act', false),
  };
}
