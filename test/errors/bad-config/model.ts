// A block that the preset does not build.

import languageModel from '../../../examples/language-model.ts';

export default () =>
  languageModel({ d_model: 64, n_heads: 4, n_layers: 2, mlp_hidden_size: 192, block_type: 'llama', vocab_size: 257 });
