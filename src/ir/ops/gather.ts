// Picking along one axis by index.

import { invariant } from '../../support/errors.ts';
import { zeros } from '../../support/tensor.ts';
import { text } from '../attributes.ts';
import type { Dim } from '../graph.ts';
import { typeText } from '../graph.ts';
import { indices, shapeOf } from '../host.ts';
import { type Equation, parseEquation } from '../labels.ts';
import { isProblem, op, type Problem } from '../op.ts';
import { wrongDtype } from '../operands.ts';
import { forEachRow, stridesOf } from '../strides.ts';
import { labelDims } from './einsum.ts';

/** A gather equation taken apart: `axis` is the source label that the index picks along. */
export interface GatherEquation {
  readonly source: string;
  readonly index: string;
  readonly out: string;
  readonly axis: string;
}

/** Parses a gather equation such as `nd,t->td`: exactly one source label is missing in the result, and it is not in the index. */
export function parseGather(text: string): GatherEquation | Problem {
  const parsed = parseEquation('gather', text);
  if (isProblem(parsed)) return parsed;
  const { a: source, b: index, out }: Equation = parsed;
  const bad = (message: string, wanted: string): Problem => ({ code: 'bad-equation', message, got: text, wanted });
  const missing = [...source].filter((label) => !out.includes(label));
  const [axis] = missing;
  if (missing.length !== 1 || axis === undefined) {
    const message = `gather: ${missing.length} labels of the source "${source}" are missing in the result "${out}"`;
    return bad(message, 'one: the axis that the index picks along');
  }
  const stray = [...index].find((label) => !out.includes(label));
  if (stray) return bad(`gather: label ${stray} of the index is not in the result "${out}"`, 'all labels of the index');
  return { source, index, out, axis };
}

/**
 * `gather {equation}`: source any dtype, index i32|i64 → the source's dtype. For `hndr,thm->thmdr`:
 * y[t,h,m,d,r] = source[h, index[t,h,m], d, r]. An index outside the axis is an error: the reference throws `index-out-of-range`.
 */
export const gather = op({
  kind: 'gather',
  inputs: ['source', 'index'],
  attrs: { equation: text },
  infer([source, index], { equation }) {
    const parsed = parseGather(equation);
    if (isProblem(parsed)) return parsed;
    const wrong = wrongDtype('gather', 'index', index!, ['i32', 'i64'], 1);
    if (wrong) return wrong;
    const names = ['source', 'index'] as const;
    const dims = labelDims('gather', names, [parsed.source, parsed.index], [source!.shape, index!.shape]);
    if (isProblem(dims)) return { ...dims, got: `${typeText(source!)} and ${typeText(index!)}` };
    const along = dims.get(parsed.axis)!;
    if (typeof along === 'string') {
      const message = `gather: the picked axis ${parsed.axis} is the symbol ${along}`;
      return { code: 'wrong-shape', message, got: typeText(source!), wanted: 'an axis with a size', input: 0 };
    }
    return [{ dtype: source!.dtype, shape: [...parsed.out].map((label): Dim => dims.get(label)!) }];
  },
  flops: () => 0,
  // Only the rows that are picked: the result twice (read and written), and the index.
  bytes: ({ inputs, results, bytes }) => 2 * bytes(results[0]) + bytes(inputs[1]),
  run([source, index], { equation }) {
    const parsed = parseGather(equation);
    invariant(!isProblem(parsed), `gather with the equation ${equation}`);
    const [from, by] = [shapeOf(source), shapeOf(index)];
    const picks = indices('gather', index, from[parsed.source.indexOf(parsed.axis)]!);
    const sizeOfLabel = (l: string) =>
      parsed.source.includes(l) ? from[parsed.source.indexOf(l)]! : by[parsed.index.indexOf(l)]!;
    const strideIn = (labels: string, shape: readonly number[]) => (label: string) =>
      labels.includes(label) ? stridesOf(shape)[labels.indexOf(label)]! : 0;
    const labels = [...parsed.out];
    const shape = labels.map(sizeOfLabel);
    const [sourceStrides, indexStrides] = [
      labels.map(strideIn(parsed.source, from)),
      labels.map(strideIn(parsed.index, by)),
    ];
    const step = strideIn(parsed.source, from)(parsed.axis);
    const out = zeros(source!.dtype, shape);
    const data = source!.data;
    if (labels.length === 0) {
      out.data[0] = data[picks[0]! * step]!;
      return [out];
    }
    const width = shape.at(-1)!;
    const [ds, di] = [sourceStrides.at(-1)!, indexStrides.at(-1)!];
    forEachRow(shape, [sourceStrides, indexStrides], (offsets, row) => {
      const [s, i] = offsets as [number, number];
      for (let k = 0; k < width; k++) out.data[row * width + k] = data[s + k * ds + picks[i + k * di]! * step]!;
    });
    return [out];
  },
});
