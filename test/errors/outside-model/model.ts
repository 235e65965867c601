// A word where no model is being traced.

import { constant, model } from 'ultramem';

export default () => {
  const one = constant(1);
  return model('outside-model', (m) => m.output('y', one));
};
