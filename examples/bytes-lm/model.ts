// A trained byte-level language model, 5.6 M weights of which 3.4 M are memory. Its checkpoint lies beside: ultramem-bytes.safetensors.
//
//   npx ultramem compile examples/bytes-lm/model.ts

import { type Model, model } from 'ultramem';
import { decoder, decoderFromConfig } from 'ultramem/models';

/** Keys and names as in the reference implementation, which trained it. */
const config = {
  d_model: 192,
  n_heads: 6,
  n_layers: 6,
  mlp_hidden_size: 768,
  activation_type: 'swiglu',
  attention_layer_norm: true,
  weight_tying: true,
  vocab_size: 257,
  max_sequence_length: 256,
  mem_type: 'ultramem_v1',
  mem_insert_way: '1:2/3:5',
  mem_knum: 96,
  mem_kdim: 48,
  mem_vdim: 160,
  mem_knn: 16,
  mem_head: 2,
};

/** Ids 0..255 are bytes; 256 starts every sequence. None ends one. */
const bytesLm: Model = model('bytes-lm', (m) => decoder(m, decoderFromConfig(config)), {
  tokenizer: { kind: 'bytes', bos: 256, eos: [] },
});

export default bytesLm;
