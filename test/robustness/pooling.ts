// A model of one table, of any size, for tests of memory.

import { einsum, embedding, type Model, model } from 'ultramem';
import { WIDTH } from './marked-table.ts';

/** Rows of a table, pooled and as they are. */
export function pooling(name: string, rows: number, placement: 'memory' | 'file'): Model {
  return model(name, (m) => {
    const T = m.symbol('T');
    const table = m.weight('table', [rows, WIDTH], { placement });
    const slots = m.input('slots', [T, 8], { dtype: 'i32', below: rows });
    const scores = m.input('scores', [T, 8]);
    m.output('pooled', einsum('trd,tr->td', embedding(table, slots), scores));
    m.output('row', embedding(table, m.input('rows', [T], { dtype: 'i32', below: rows })));
  });
}

/** One of 128 MiB in f32. */
export const smallRows = 1 << 16;
export const smallTable = pooling('small-table', smallRows, 'memory');
