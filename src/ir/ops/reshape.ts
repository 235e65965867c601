// Another shape for the same elements in the same order.

import type { Tensor } from '../../support/tensor.ts';
import { dims } from '../attributes.ts';
import type { Dim } from '../graph.ts';
import { typeText } from '../graph.ts';
import { op, sizeOf } from '../op.ts';

/** Symbols in order, and the product of the sizes before, between and after them. */
function segments(shape: readonly Dim[]): string {
  const parts: Dim[] = [1];
  for (const dim of shape) {
    if (typeof dim === 'string') parts.push(dim, 1);
    else parts[parts.length - 1] = (parts.at(-1) as number) * dim;
  }
  return parts.join(' ');
}

/** `reshape {shape}`: x → the same elements. Symbols stay whole and in order, with the same number of elements between them. */
export const reshape = op({
  kind: 'reshape',
  inputs: ['x'],
  attrs: { shape: dims },
  infer([x], { shape }) {
    if (segments(x!.shape) === segments(shape)) return [{ dtype: x!.dtype, shape }];
    const message = `reshape: ${typeText(x!)} does not become [${shape.join(',')}]`;
    const wanted = 'as many elements before, between and after the symbols';
    return { code: 'wrong-shape', message, got: typeText(x!), wanted, input: 0 };
  },
  flops: () => 0,
  bytes: () => 0,
  run: ([x], { shape }, symbols) => [{ ...x!, shape: shape.map((dim) => sizeOf(dim, symbols)) } as Tensor],
});
