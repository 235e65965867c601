// A tensor carried from one model into another.

import { add, type F32, model, silu, trace } from 'ultramem';

let kept: F32 | undefined;

const first = model('first', (m) => {
  kept = m.input('x', [m.symbol('T'), 64]);
  m.output('y', silu(kept));
});

export default model('foreign-tensor', (m) => {
  trace(first);
  const x = m.input('x', [m.symbol('T'), 64]);
  m.output('y', add(x, kept!));
});
