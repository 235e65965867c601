// A decoder with six UltraMem V1 memories over 20 million value rows: 10.2 GB of tables in bf16 that stay in the checkpoint's file.
// It has no trained checkpoint; write one of random weights beside it:
//
//   npx tsx examples/twenty-million/write-checkpoint.ts examples/twenty-million/model.ts twenty-million.safetensors
//   npx ultramem generate examples/twenty-million/model.ts --weights twenty-million.safetensors --precision bf16 --prompt "In the beginning" --memory

import { type Model, model } from 'ultramem';
import { decoder, decoderFromConfig } from 'ultramem/models';

/** `config` may change keys, `mem_knum` above all: each memory has its square of rows. */
export default function twentyMillion(config: object = {}): Model {
  const sizes = {
    d_model: 768,
    n_heads: 12,
    n_layers: 12,
    mlp_hidden_size: 2048,
    activation_type: 'swiglu',
    vocab_size: 257,
    max_sequence_length: 512,
    mem_type: 'ultramem_v1',
    mem_insert_way: '0:1/2:3/4:5/6:7/8:9/10:11',
    mem_knum: 1826,
    mem_kdim: 128,
    mem_vdim: 256,
    mem_knn: 32,
    mem_head: 2,
    mem_value_placement: 'file',
    ...config,
  };
  // Ids 0..255 are bytes; 256 starts every sequence. None ends one.
  const tokenizer = { kind: 'bytes', bos: 256, eos: [] } as const;
  return model('twenty-million', (m) => decoder(m, { ...decoderFromConfig(sizes), maxSequences: 16 }), { tokenizer });
}
