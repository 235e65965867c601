// One window for two convolutions.

import { causalConv, model } from 'ultramem';

export default model('state-used-twice', (m) => {
  const { positions, sequence } = m.tokens({ vocab: 256, context: 64 });
  const x = m.input('x', ['T', 8]);
  const window = m.state('window', ['S', 3, 8]);
  const once = causalConv(x, m.weight('conv1.weight', [8, 4]), { positions, sequence, window });
  m.output('y', causalConv(once, m.weight('conv2.weight', [8, 4]), { positions, sequence, window }));
});
