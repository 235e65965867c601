// Symbols with facts that contradict, or make no sense.

import { model, silu } from 'ultramem';

export default model('bad-symbol', (m) => {
  m.symbol('T', { bound: 128 });
  const T = m.symbol('T', { bound: 256 });
  m.symbol('S', { bound: 0 });
  m.symbol('batch size');
  m.output('y', silu(m.input('x', [T, 64])));
});
