// More kept than there are, and a division by none.

import { idiv, model, softmax, topk } from 'ultramem';

export default model('bad-attribute', (m) => {
  const T = m.symbol('T');
  const scores = m.input('scores', [T, 2, 32]);
  const [best] = topk(scores, { k: 64 });
  m.output('y', softmax(best));
  const [, index] = topk(scores, { k: 8 });
  m.output('block', idiv(index, 0));
});
