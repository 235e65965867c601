// Two faults in one run: a linear layer of another width, and a sum of shapes that do not align. What follows them is fine.

import { add, linear, model, rmsNorm } from 'ultramem';

export default model('wrong-shape', (m) => {
  const T = m.symbol('T');
  const x = m.input('x', [T, 64]);
  const hidden = linear(x, m.weight('up.weight', [128, 96]));
  const normed = rmsNorm(hidden, m.weight('norm.weight', [128]));
  const other = add(x, m.weight('bias', [63]));
  m.output('y', add(normed, other));
});
