// A misspelt option, as a user without a type checker meets it.

import { model, rmsNorm } from 'ultramem';

export default model('unknown-option', (m) => {
  const T = m.symbol('T');
  const x = m.input('x', [T, 64]);
  m.output('y', rmsNorm(x, m.weight('norm.weight', [64], { optinal: true } as object), { epsilon: 1e-6 } as object));
});
