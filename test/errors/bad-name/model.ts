// Names become fields and file entries.

import { model, silu } from 'ultramem';

export default model('bad-name', (m) => {
  const T = m.symbol('T');
  const x = m.input('the x', [T, 64]);
  m.output('y', silu(m.tap('a tap', x)));
});
