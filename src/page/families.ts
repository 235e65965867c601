// Kernels by what they are about: one colour each.

/** In the order of their colours. */
export const families = [
  'scores and choice',
  'rows of tables',
  'products',
  'attention',
  'norms and functions',
  'copies',
] as const;

const members: readonly (readonly [RegExp, (typeof families)[number]])[] = [
  [/^(score_topk|gather_dot|grid_topk|rescore_topk|sum_grid_topk|topk|rank1|pack_keys)/, 'scores and choice'],
  [/^(gather|gather_rows|gather_pool|pool_linear|group_sum|ask_rows)$/, 'rows of tables'],
  [/^(linear|einsum|expert|pack_linear)/, 'products'],
  [/^(attention|rope|causal_conv)/, 'attention'],
  [/^(norm|add_norm|elementwise|softmax|reduce|sample)/, 'norms and functions'],
];

/** Place of a kernel's family in `families`. */
export const familyOf = (kernel: string): number =>
  families.indexOf(members.find(([pattern]) => pattern.test(kernel))?.[1] ?? 'copies');
