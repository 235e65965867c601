// A model that computes for nobody.

import { model, silu } from 'ultramem';

export default model('no-output', (m) => {
  silu(m.input('x', [m.symbol('T'), 64]));
});
