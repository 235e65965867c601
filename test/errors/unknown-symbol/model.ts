// A symbol used before it is declared, and one misspelt.

import { model, silu } from 'ultramem';

export default model('unknown-symbol', (m) => {
  const x = m.input('x', ['T', 64]);
  m.symbol('Tokens');
  m.output('y', silu(x));
  m.output('z', silu(m.input('z', ['Token', 64])));
});
