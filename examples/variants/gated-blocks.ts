// A memory layer between two known ones: product keys with added scores, as Memory+ has them, before UltraMem's shuffled slots and
// virtual blocks. Scores go through a sigmoid, and each block has its own projector.
//
//   npx ultramem inspect examples/variants/gated-blocks.ts

import {
  add,
  einsum,
  embedding,
  gather,
  groupSum,
  idiv,
  imod,
  linear,
  type Model,
  model,
  mul,
  reshape,
  rmsNorm,
  sigmoid,
  take,
  topk,
  unstack,
} from 'ultramem';

const D = 64; // width of the model
const n = 24; // rows are n²
const E = 4; // virtual blocks
const keys = 2 * n; // per side, √E·n
const Dk = 16;
const Dv = 32;
const H = 2;
const kept = 8; // rows per head

const gatedBlocks: Model = model('gated-blocks', (m) => {
  const T = m.symbol('T');
  const x = m.input('x', [T, D]);
  const projected = reshape(linear(x, m.weight('query.weight', [2 * H * Dk, D])), [T, 2, H, Dk]);
  const query = unstack(rmsNorm(projected, m.weight('query_norm.weight', [Dk])), { axis: 1, count: 2 });
  const [row, col] = query.map((q, side) => {
    const [best, index] = topk(einsum('thd,hnd->thn', q, m.weight(`keys.${side}`, [H, keys, Dk])), { k: kept });
    return { best, index };
  }) as [Side, Side];

  // The sum of a pair's scores decides; what it weighs is its sigmoid.
  const sums = add(reshape(row.best, [T, H, kept, 1]), reshape(col.best, [T, H, 1, kept]));
  const [best, pair] = topk(reshape(sums, [T, H, kept * kept]), { k: kept });
  const address = add(mul(take(row.index, idiv(pair, kept)), keys), take(col.index, imod(pair, kept)));
  const slots = m.weight('shuffle', [E * n * n], { dtype: 'i32', below: E * n * n });
  const slot = gather('n,tr->tr', slots, reshape(address, [T, H * kept]));

  const rows = embedding(m.weight('values', [n * n, Dv]), imod(slot, n * n));
  const weighted = mul(rows, reshape(sigmoid(best), [T, H * kept, 1]));
  const blocks = groupSum(weighted, idiv(slot, n * n), { groups: E }); // [T,E,Dv]
  m.output('y', linear(reshape(blocks, [T, E * Dv]), m.weight('out.weight', [D, E * Dv])));
});

type Side = { best: ReturnType<typeof topk>[0]; index: ReturnType<typeof topk>[1] };

export default gatedBlocks;
