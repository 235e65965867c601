// Rope wants its heads on an axis of their own.

import { model, rope } from 'ultramem';

export default model('wrong-rank', (m) => {
  const T = m.symbol('T');
  const positions = m.input('positions', [T], { dtype: 'i32', below: 256 });
  m.output('y', rope(m.input('q', [T, 64]), positions));
});
