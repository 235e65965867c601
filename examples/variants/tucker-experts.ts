// Experts of one neuron, as PEER has them, chosen by Tucker scores instead of product keys, with a squared ReLU, the score itself as
// the weight, and no softmax.
//
//   npx ultramem inspect examples/variants/tucker-experts.ts

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
  relu,
  reshape,
  square,
  take,
  topk,
  weightedSum,
} from 'ultramem';

const D = 64; // width of the model, and of both rows of an expert
const n = 32; // n² experts
const Dk = 16;
const H = 2;
const r = 3;
const kept = 6; // experts per head

const tuckerExperts: Model = model('tucker-experts', (m) => {
  const T = m.symbol('T');
  const x = m.input('x', [T, D]);
  const side = (name: string) => {
    const query = linear(x, m.weight(`${name}.query.weight`, [Dk, D]));
    const ranks = einsum('td,hrnd->thnr', query, m.weight(`${name}.keys`, [H, r, n, Dk])); // [T,H,n,r]
    const [, index] = topk(weightedSum(ranks, m.weight(`${name}.merge`, [H, r])), { k: kept });
    return { index, scores: take(ranks, index) };
  };
  const row = side('row');
  const col = side('col');
  const grid = einsum('thar,thbr->thab', einsum('thas,hsr->thar', row.scores, m.weight('core', [H, r, r])), col.scores);
  const [best, pair] = topk(reshape(grid, [T, H, kept * kept]), { k: kept });
  const address = add(mul(take(row.index, idiv(pair, kept)), n), take(col.index, imod(pair, kept)));
  const expert = reshape(address, [T, H * kept]);

  const active = square(relu(einsum('td,tjd->tj', x, embedding(m.weight('down', [n * n, D]), expert))));
  const weights = mul(active, reshape(best, [T, H * kept]));
  m.output('y', einsum('tj,tjd->td', weights, embedding(m.weight('up', [n * n, D]), expert)));
});

export default tuckerExperts;
