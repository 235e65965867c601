// The same weight declared twice, and an input with the name of another.

import { add, linear, model } from 'ultramem';

export default model('duplicate-name', (m) => {
  const T = m.symbol('T');
  const x = m.input('x', [T, 64]);
  const y = linear(x, m.weight('proj.weight', [64, 64]));
  const z = linear(y, m.weight('proj.weight', [64, 64]));
  m.output('y', add(z, m.input('x', [T, 64])));
});
