// Relatives of the layer, in short: Memory+ (UltraMem §3) and the reference's V2 (UltraMem §2).

import {
  add,
  einsum,
  embedding,
  gather,
  gelu,
  groupSum,
  idiv,
  imod,
  linear,
  model,
  mul,
  reshape,
  rmsNorm,
  silu,
  softmax,
  sum,
  take,
  topk,
  trace,
  unstack,
  weightedSum,
} from 'ultramem';
import type { Graph } from '../../src/ir/graph.ts';

/** A query per head, added scores, softmax, a bag of rows of a shared table, and a gate. */
export function memoryPlus(options: { gated?: boolean } = {}): Graph {
  const [D, H, n, d, m] = [6, 2, 9, 4, 3];
  return trace(
    model('memory-plus', (w) => {
      const T = w.symbol('T');
      const x = w.input('x', [T, D]);
      const projected = linear(x, w.weight('query', [H * 2 * d, D]));
      const query = rmsNorm(reshape(projected, [T, H, 2, d]), w.weight('query_norm', [d]));
      const keys = rmsNorm(w.weight('keys', [H, 2, n, d]), w.weight('keys_norm', [d]));
      const sides = unstack(query, { axis: 2, count: 2 }).map((q, side) =>
        topk(einsum('thd,hnd->thn', q, unstack(keys, { axis: 1, count: 2 })[side]!), { k: m }),
      );
      const [[row, rows], [col, cols]] = sides as [ReturnType<typeof topk>, ReturnType<typeof topk>];
      const grid = add(reshape(row, [T, H, m, 1]), reshape(col, [T, H, 1, m]));
      const [best, position] = topk(reshape(grid, [T, H, m * m]), { k: m });
      const index = add(mul(take(rows, idiv(position, m)), n), take(cols, imod(position, m)));
      const weights = reshape(softmax(best), [T, H * m]);
      const values = embedding(w.weight('values', [n * n, D]), reshape(index, [T, H * m]));
      const y = einsum('tr,trd->td', weights, values);
      if (options.gated !== true) return w.output('y', y);
      return w.output('y', linear(mul(y, silu(linear(x, w.weight('gate', [D, D])))), w.weight('out', [D, D])));
    }),
  );
}

/** A window into a shared table, pre-values as factors of scores, blocks summed before the projection. One head. */
export function v2(): Graph {
  const [D, n, E, d, m, r, h, Dp, Dv] = [6, 5, 4, 4, 3, 2, 2, 3, 8];
  const [keys, N, all] = [2 * n, n * n, 2 * n * n];
  return trace(
    model('v2', (w) => {
      const T = w.symbol('T');
      const x = w.input('x', [T, D]);
      const query = reshape(linear(x, w.weight('query', [2 * d, D])), [T, 2, d]);
      const [row, col] = unstack(rmsNorm(query, w.weight('query_norm', [d])), { axis: 1, count: 2 }).map((q, side) => {
        const ranks = einsum('td,hnrd->thnr', q, w.weight(`keys${side}`, [1, keys, r, d]));
        const [, index] = topk(weightedSum(ranks, w.weight(`u${side}`, [1, r])), { k: m });
        return { index, scores: take(ranks, index) };
      }) as [Side, Side];
      const cells = einsum(
        'thcas,thbs->thcab',
        einsum('thar,hcrs->thcas', row.scores, w.weight('core', [1, h, r, r])),
        col.scores,
      );
      const [, position] = topk(reshape(sum(cells, { axis: 2 }), [T, 1, m * m]), { k: m });
      const address = add(mul(take(row.index, idiv(position, m)), keys), take(col.index, imod(position, m)));
      const slot = gather(
        'n,tr->tr',
        w.weight('shuffle', [E * N], { dtype: 'i32', below: E * N }),
        reshape(address, [T, m]),
      );
      const real = imod(add(imod(slot, N), N), all); // this layer's window starts at row N
      const chosen = gather('thcg,thm->thmc', reshape(cells, [T, 1, h, m * m]), position);
      const pre = embedding(w.weight('pre_values', [all, Dp]), real);
      const gate = gelu(einsum('td,trd->tr', linear(x, w.weight('pre', [Dp, D])), pre));
      const weights = mul(reshape(chosen, [T, m, h, 1]), reshape(gate, [T, m, 1, 1]));
      const slices = reshape(embedding(w.weight('values', [all, Dv]), real), [T, m, h, Dv / h]);
      const pooled = groupSum(reshape(mul(slices, weights), [T, m, Dv]), idiv(slot, N), { groups: E });
      w.output('y', linear(sum(pooled, { axis: 1 }), w.weight('project', [D, Dv])));
    }),
  );
}

type Side = { index: ReturnType<typeof topk>[1]; scores: ReturnType<typeof topk>[0] };
