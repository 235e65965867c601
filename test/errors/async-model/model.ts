// A definition that waits for something.

import { model, silu } from 'ultramem';

export default model('async-model', async (m) => {
  m.output('y', silu(m.input('x', [m.symbol('T'), 64])));
});
