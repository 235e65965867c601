// Two memory layers of one's own, written with the words of the DSL alone: Tucker scores as UltraMem V1 has them, but a token's
// scores go through a softmax per head, slots are not shuffled, and both layers read one table. What matches a known pattern is
// fused all the same; `npx ultramem inspect examples/variants/tucker-softmax.ts` says what did and what did not.

import {
  add,
  einsum,
  embedding,
  type F32,
  idiv,
  imod,
  linear,
  type Model,
  type ModelContext,
  model,
  mul,
  reshape,
  rmsNorm,
  softmax,
  sum,
  take,
  topk,
  weightedSum,
} from 'ultramem';

const D = 64; // width of the model
const n = 32; // keys per side: n² rows in the table
const Dk = 16; // width of a key
const Dv = 48; // width of a row
const H = 2; // heads
const r = 2; // rank of a score
const kept = 8; // rows per head

function memory(m: ModelContext, x: F32, table: F32, prefix: string): F32 {
  const T = x.shape[0]!;
  const norm = m.weight(`${prefix}.key_norm.weight`, [Dk]);

  // One query per side; both sides score all their keys, rank by rank, and keep the best of each head.
  const side = (name: string) => {
    const projected = linear(x, m.weight(`${name}.query.weight`, [Dk, D]));
    const query = rmsNorm(projected, m.weight(`${name}.norm.weight`, [Dk]));
    const keys = rmsNorm(m.weight(`${name}.keys`, [H, n, r, Dk]), norm);
    const ranks = einsum('td,hnrd->thnr', query, keys); // [T,H,n,r]
    const [, index] = topk(weightedSum(ranks, m.weight(`${name}.merge`, [H, r])), { k: kept });
    return { index, scores: take(ranks, index) }; // [T,H,kept], [T,H,kept,r]
  };
  const row = side(`${prefix}.row`);
  const col = side(`${prefix}.col`);

  // Every pair of kept keys is re-scored by a Tucker core; the best pairs name rows of the table.
  const core = m.weight(`${prefix}.core`, [H, r, r]);
  const grid = einsum('thas,thbs->thab', einsum('thar,hrs->thas', row.scores, core), col.scores);
  const [best, pair] = topk(reshape(grid, [T, H, kept * kept]), { k: kept });
  const address = add(mul(take(row.index, idiv(pair, kept)), n), take(col.index, imod(pair, kept)));

  // A softmax over each head's rows instead of the raw scores; then all heads' rows are summed.
  const weight = reshape(softmax(best), [T, H * kept, 1]);
  const rows = embedding(table, reshape(address, [T, H * kept])); // [T,H·kept,Dv]
  return linear(sum(mul(rows, weight), { axis: 1 }), m.weight(`${prefix}.out.weight`, [D, Dv]));
}

const tuckerSoftmax: Model = model('tucker-softmax', (m) => {
  const x = m.input('x', [m.symbol('T'), D]);
  const table = m.weight('values', [n * n, Dv]);
  const first = add(x, memory(m, x, table, 'first'));
  m.output('y', add(first, memory(m, first, table, 'second')));
});

export default tuckerSoftmax;
