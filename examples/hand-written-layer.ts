// A memory layer of one's own, written with the words of the DSL alone: like UltraMem V1, but the scores of a token's rows go
// through a softmax per head, slots are not shuffled, and the value table is not expanded. What matches a known pattern is
// fused all the same; `npx ultramem inspect examples/hand-written-layer.ts` says what did and what did not.

import {
  add,
  einsum,
  embedding,
  idiv,
  imod,
  linear,
  type Model,
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

const handWritten: Model = model('hand-written-layer', (m) => {
  const T = m.symbol('T');
  const x = m.input('x', [T, D]);
  const norm = m.weight('key_norm.weight', [Dk]);

  // One query per side; both sides score all their keys, rank by rank, and keep the best of each head.
  const side = (name: 'row' | 'col') => {
    const query = rmsNorm(linear(x, m.weight(`${name}.query.weight`, [Dk, D])), m.weight(`${name}.norm.weight`, [Dk]));
    const keys = rmsNorm(m.weight(`${name}.keys`, [H, n, r, Dk]), norm);
    const ranks = einsum('td,hnrd->thnr', query, keys); // [T,H,n,r]
    const [, index] = topk(weightedSum(ranks, m.weight(`${name}.merge`, [H, r])), { k: kept });
    return { index, scores: take(ranks, index) }; // [T,H,kept], [T,H,kept,r]
  };
  const row = side('row');
  const col = side('col');

  // Every pair of kept keys is re-scored by a Tucker core; the best pairs name rows of the table.
  const core = m.weight('core', [H, r, r]);
  const grid = einsum('thas,thbs->thab', einsum('thar,hrs->thas', row.scores, core), col.scores);
  const [best, pair] = topk(reshape(grid, [T, H, kept * kept]), { k: kept });
  const address = add(mul(take(row.index, idiv(pair, kept)), n), take(col.index, imod(pair, kept)));

  // A softmax over each head's rows instead of the raw scores; then all heads' rows are summed.
  const weight = reshape(softmax(best), [T, H * kept, 1]);
  const rows = embedding(m.weight('values', [n * n, Dv]), reshape(address, [T, H * kept])); // [T,H·kept,Dv]
  const pooled = sum(mul(rows, weight), { axis: 1 });
  m.output('y', linear(pooled, m.weight('out.weight', [D, Dv])));
});

export default handWritten;
