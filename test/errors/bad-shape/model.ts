// Sizes that are no sizes: a division that did not come out, and tokens in a weight.

import { linear, model } from 'ultramem';

export default model('bad-shape', (m) => {
  const T = m.symbol('T');
  const x = m.input('x', [T, 100 / 3]);
  m.output('y', linear(x, m.weight('proj.weight', [T, 33] as never)));
});
