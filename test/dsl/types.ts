// What the type checker refuses in a model file. Nothing runs: `npm run check` compiles this, and an error that does not come is one.

import {
  add,
  attention,
  cast,
  embedding,
  type F32,
  groupSum,
  type I32,
  idiv,
  linear,
  type ModelContext,
  model,
  rope,
  split,
  type Tensor,
  take,
  topk,
} from 'ultramem';

export const refused = (m: ModelContext, x: F32, index: I32, half: Tensor<'bf16'>) => {
  // @ts-expect-error: weights of integers are no linear layer
  linear(x, index);
  // @ts-expect-error: arithmetic is in f32 or i32, after a cast
  linear(x, half);
  // @ts-expect-error: one element type for both
  add(x, index);
  // @ts-expect-error: as above, the other way round
  add(index, x);
  // @ts-expect-error: integer division of floats
  idiv(x, 2);
  // @ts-expect-error: an index is an integer
  embedding(x, x);
  // @ts-expect-error: as is a position
  rope(x, x);
  // @ts-expect-error: topk needs its k
  topk(x, {});
  // @ts-expect-error: groups are the second operand
  groupSum(index, x, { groups: 4 });
  // @ts-expect-error: no such element type
  cast(x, 'fp16');
  // @ts-expect-error: a state is no tensor
  add(m.state('cache', [4]), x);
  // @ts-expect-error: a cache is a state, not a tensor
  attention(x, x, x, { positions: index, sequence: index, keys: x, values: x });
  // @ts-expect-error: a weight's dims are sizes
  m.weight('w', ['T', 4]);
  // @ts-expect-error: an option misspelt
  m.weight('w', [4], { optinal: true });
  // @ts-expect-error: two parts, not three
  split(x, [1, 2])[2] satisfies F32;
  // @ts-expect-error: the definition comes second
  model((m) => m.output('y', x), 'name');
};

export const accepted = (m: ModelContext, x: F32, index: I32) => {
  const [values, indices] = topk(x, { k: 2 });
  values satisfies F32;
  indices satisfies I32;
  take(index, indices) satisfies I32;
  take(x, indices) satisfies F32;
  m.weight('w', [4]) satisfies F32;
  m.weight('table', [4], { dtype: 'i32', below: 4 }) satisfies I32;
  cast(m.weight('half', [4], { dtype: 'bf16' }), 'f32') satisfies F32;
  add(index, 1) satisfies I32;
  m.tap('x', index) satisfies I32;
  const [a, b] = split(x, [1, 2]);
  a satisfies F32;
  b satisfies F32;
};
