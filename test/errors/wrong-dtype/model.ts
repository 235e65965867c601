// Arithmetic on a weight kept in bf16, which a checker of types would also refuse.

import { type F32, linear, model } from 'ultramem';

export default model('wrong-dtype', (m) => {
  const T = m.symbol('T');
  const x = m.input('x', [T, 64]);
  const weight: unknown = m.weight('up.weight', [128, 64], { dtype: 'bf16' });
  m.output('y', linear(x, weight as F32));
});
