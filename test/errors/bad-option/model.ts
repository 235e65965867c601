// A preset asked for what it cannot build; the fault is shown at the user's call.

import { model } from 'ultramem';
import { ultramemV1 } from 'ultramem/models';

export default model('bad-option', (m) => {
  const x = m.input('x', [m.symbol('T'), 64]);
  m.output('y', ultramemV1(m, x, { width: 64, knum: 16, kdim: 16, vdim: 32, knn: 8, expansion: 5 }));
});
