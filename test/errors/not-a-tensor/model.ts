// A value that is no tensor, and a state where a tensor belongs.

import { type F32, model, mul, silu } from 'ultramem';

export default model('not-a-tensor', (m) => {
  const T = m.symbol('T');
  const cache: unknown = m.state('cache', [64]);
  const sizes: unknown = [1, 2, 3];
  const x = mul(m.input('x', [T, 64]), cache as F32);
  m.output('y', silu(x));
  m.output('z', silu(sizes as F32));
});
