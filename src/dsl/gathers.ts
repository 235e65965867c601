// Words for picking by index.

import { typeText } from '../ir/graph.ts';
import { apply1 } from './apply.ts';
import { letters } from './products.ts';
import type { Tensor } from './tensor.ts';

type Index = Tensor<'i32'> | Tensor<'i64'>;

/**
 * Picks along the one axis of the source whose label the result lacks: `gather('hnrd,thm->thmrd', keys, index)` is
 * y[t,h,m,r,d] = keys[h, index[t,h,m], r, d]. Source of any element type, index i32 or i64 with every element inside the axis.
 */
export function gather<S extends Tensor>(equation: string, source: S, index: Index): S {
  return apply1('gather', 'gather', [source, index], { equation });
}

/** Rows of a table: table [N,…], ids i32[…] → [ids…, …]: y[t] = table[ids[t]]. */
export function embedding<S extends Tensor>(table: S, ids: Index): S {
  return apply1('embedding', 'gather', [table, ids], (table, ids) => {
    if (table.shape.length === 0) {
      return {
        code: 'wrong-rank',
        message: 'embedding: the table has no axis of rows',
        got: typeText(table),
        wanted: '[N,…]',
      };
    }
    const at = letters(ids.shape.length, 'n');
    const row = letters(table.shape.length - 1, `n${at}`);
    return { equation: `n${row},${at}->${at}${row}` };
  });
}

/**
 * Picks per leading position: source [L…,N,…], index i32[L…,M] → [L…,M,…]: y[l,m] = source[l, index[l,m]].
 * Rank scores [T,H,n,r] at the kept keys [T,H,m] give [T,H,m,r].
 */
export function take<S extends Tensor>(source: S, index: Index): S {
  return apply1('take', 'gather', [source, index], (source, index) => {
    const leading = index.shape.length - 1;
    const fits =
      leading >= 0 && source.shape.length > leading && index.shape.slice(0, -1).every((d, i) => d === source.shape[i]);
    if (!fits) {
      const wanted = typeText({ dtype: index.dtype, shape: [...source.shape.slice(0, Math.max(leading, 0)), 'M'] });
      const message = `take: the axes of the index before its last are not the first of ${typeText(source)}`;
      return { code: 'wrong-shape', message, got: typeText(index), wanted };
    }
    const lead = letters(leading, 'nm');
    const rest = letters(source.shape.length - 1 - leading, `nm${lead}`);
    return { equation: `${lead}n${rest},${lead}m->${lead}m${rest}` };
  });
}
