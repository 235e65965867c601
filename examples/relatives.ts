// A decoder whose three blocks have three feed-forward parts of the family: a mixture of experts, a product-key memory, and PEER.
//
//   npx ultramem inspect examples/relatives.ts

import { type Model, model } from 'ultramem';
import { type DecoderOptions, decoder, type PkmOptions, peer, pkm } from 'ultramem/models';

const keys: PkmOptions = { width: 64, knum: 24, kdim: 16, knn: 8, heads: 2 };

const options: DecoderOptions = {
  ...{ vocab: 256, width: 64, layers: 3, heads: 4, context: 128 },
  feedForward: {
    kind: 'moe',
    experts: 8,
    kept: 2,
    inner: 96,
    activation: 'gelu',
    softmax: 'before',
    renormalise: true,
  },
  feedForwardOf: {
    1: { kind: 'own', layer: (m, x, names) => pkm(m, x, { ...keys, ...names }) },
    2: { kind: 'own', layer: (m, x, names) => peer(m, x, { ...keys, ...names }) },
  },
};

const relatives: Model = model('relatives', (m) => decoder(m, options));

export default relatives;
