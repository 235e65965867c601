// Upper bounds of integer values, read off the ops that make them.

import type { ValueId } from '../ir/graph.ts';
import { matches, type Uses } from '../ir/index.ts';

/**
 * The least number known to exceed every element of an i32 value whose elements are known not to be negative; undefined where
 * nothing is known. Indices lie below what they index, as the ops demand.
 */
export function exclusiveBound(uses: Uses, value: ValueId): number | undefined {
  const leaf = uses.leaf(value);
  if (leaf !== undefined) return leaf.kind !== 'state' && typeof leaf.below === 'number' ? leaf.below : undefined;
  const node = uses.producer(value);
  if (node === undefined) return undefined;
  const of = (i: number): number | undefined => exclusiveBound(uses, node.inputs[i]!);
  const dim = (i: number, axis: number): number | undefined => {
    const size = uses.type(node.inputs[i]!).shape.at(axis);
    return typeof size === 'number' ? size : undefined;
  };
  switch (node.op) {
    case 'reshape':
    case 'transpose':
    case 'slice':
    case 'gather':
      return of(0);
    case 'constant': {
      const number = Number(node.attrs.value);
      return number >= 0 ? number + 1 : undefined;
    }
    case 'topk':
      return dim(0, -1);
    case 'score_topk':
      return dim(1, 1);
    case 'rescore_topk':
      return node.attrs.shuffled === true ? of(7) : (dim(4, 1) ?? Number.NaN) ** 2 || undefined;
    case 'binary':
      break;
    default:
      return undefined;
  }
  const [a, b] = [of(0), of(1)];
  const fn = matches(node, 'binary')!.attrs.fn;
  if (a === undefined || b === undefined) return fn === 'imod' ? b && b - 1 : undefined;
  const bounds: Readonly<Record<string, number>> = {
    add: a + b - 1,
    mul: (a - 1) * (b - 1) + 1,
    min: Math.min(a, b),
    max: Math.max(a, b),
    // The divisor is at least 1, and known when it is a constant.
    idiv: Math.floor((a - 1) / (uses.constantValue(node.inputs[1]!) ?? 1)) + 1,
    imod: Math.min(a, b - 1),
  };
  const bound = bounds[fn];
  // Beyond this, i32 arithmetic may have wrapped.
  return bound !== undefined && bound <= 2 ** 31 ? bound : undefined;
}
