// The name becomes a folder and a class.

import { model, silu } from 'ultramem';

export default model('my model/1', (m) => {
  m.output('y', silu(m.input('x', [m.symbol('T'), 64])));
});
