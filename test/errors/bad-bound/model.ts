// Bounds are for indices.

import { embedding, model } from 'ultramem';

export default model('bad-bound', (m) => {
  const T = m.symbol('T');
  const table = m.weight('table', [16, 8], { below: 16 });
  m.output('y', embedding(table, m.input('ids', [T], { dtype: 'i32', below: 0 })));
});
