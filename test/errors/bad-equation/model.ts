// A label that no operand has.

import { einsum, model } from 'ultramem';

export default model('bad-equation', (m) => {
  const T = m.symbol('T');
  const q = m.input('q', [T, 16]);
  m.output('y', einsum('td,nd->tm', q, m.weight('keys', [32, 16])));
});
