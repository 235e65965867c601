// An element type by another framework's name.

import { cast, model } from 'ultramem';

export default model('unknown-dtype', (m) => {
  const T = m.symbol('T');
  m.output('y', cast(m.input('x', [T, 64]), 'fp16' as 'f16'));
});
