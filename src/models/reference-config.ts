// Configurations of the reference implementation, key by key, as options of the presets.

import { badConfig } from '../dsl/index.ts';
import { type Config, type ConfigRules, readConfig } from './config.ts';
import type { DecoderOptions } from './decoder.ts';
import { parsePlacement } from './placement.ts';
import { type UltramemV1Options, ultramemV1 } from './ultramem-v1.ts';

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
    width: config.count('hidden_size'),
    knum,
    kdim: config.count('kdim'),
    vdim: config.count('vdim'),
    knn: config.count('knn'),
    heads: config.count('head', 2),
    rank: config.count('tucker_rank', 2),
    cores: config.count('tucker_multihead', 2),
    expansion,
    norm: config.oneOf('layer_norm_type', ['rms', 'layer'], 'rms'),
    eps: config.number('layer_norm_eps', 1e-5),
  };
}

const decoderRules: ConfigRules = {
  read: [
    ...['d_model', 'n_heads', 'n_kv_heads', 'n_layers', 'mlp_hidden_size', 'activation_type', 'max_sequence_length'],
    ...['vocab_size', 'embedding_size', 'weight_tying', 'attention_layer_norm', 'layer_norm_eps', 'rope_theta'],
    ...['mem_insert_way', 'mem_knum', 'mem_kdim', 'mem_vdim', 'mem_knn', 'mem_head', 'mem_type'],
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
  },
};

/**
 * Options of a decoder from the reference's keys (`d_model`, `n_heads`, `mem_insert_way` …). Keys that only matter in training are
 * ignored. Memories are V1 with rank 2, 2 cores and expansion 4, which the reference fixes. One key is not the reference's:
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
    ...(memories.length === 0 ? {} : { memory: memoryFromConfig(config, width, eps) }),
  };
}

function memoryFromConfig(config: Config, width: number, eps: number): NonNullable<DecoderOptions['memory']> {
  config.oneOf('mem_type', ['ultramem_v1']);
  const sizes = {
    width,
    knum: config.count('mem_knum'),
    kdim: config.count('mem_kdim'),
    vdim: config.count('mem_vdim'),
    knn: config.count('mem_knn'),
    heads: config.count('mem_head', 2),
    valuePlacement: config.oneOf('mem_value_placement', ['memory', 'file'], 'memory'),
  };
  return (m, x, { prefix, taps }) => ultramemV1(m, x, { ...sizes, rank: 2, cores: 2, expansion: 4, eps, prefix, taps });
}
