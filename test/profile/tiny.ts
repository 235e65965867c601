// A model of two kernels whose requests can be counted by hand.

import { add, embedding, model } from 'ultramem';

export default model('tiny-profile', (m) => {
  const T = m.symbol('T', { bound: 4 });
  const x = m.input('x', [T, 64]);
  const ids = m.input('ids', [T], { dtype: 'i32', below: 100 });
  m.output('y', add(x, m.weight('w', [64])));
  m.output('rows', embedding(m.weight('table', [100, 8]), ids));
});
