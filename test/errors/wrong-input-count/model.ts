// Nothing to put together.

import { concat, model } from 'ultramem';

export default model('wrong-input-count', (m) => {
  m.output('y', concat([]));
});
