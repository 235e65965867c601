// Words that rearrange without computing.

import type { Dim, Type } from '../ir/graph.ts';
import { apply1, axisOf, knownOptions } from './apply.ts';
import type { AxisOptions } from './reductions.ts';
import type { Tensor } from './tensor.ts';
import { currentTrace, shown } from './trace.ts';

/** The same elements in order under another shape. Symbols stay whole, in order, with as many elements between them. */
export function reshape<X extends Tensor>(x: X, shape: readonly Dim[]): X {
  return apply1('reshape', 'reshape', [x], { shape });
}

/** Axes in another order: axis i of the result is axis perm[i] of x. */
export function transpose<X extends Tensor>(x: X, perm: readonly number[]): X {
  return apply1('transpose', 'transpose', [x], { perm });
}

/** Elements start..end−1 of an axis (default the last). */
export function slice<X extends Tensor>(
  x: X,
  options: AxisOptions & { readonly start: number; readonly end: number },
): X {
  knownOptions('slice', options, ['axis', 'start', 'end']);
  const { axis = -1, start, end } = options;
  return apply1('slice', 'slice', [x], (x: Type) => ({ axis: axisOf(x, axis), start, end }));
}

/** Cuts an axis (default the last) into parts of the given sizes, which add up to it: [T,384] by [192,96,96] → three tensors. */
export function split<X extends Tensor, const S extends readonly number[]>(
  x: X,
  sizes: S,
  options: AxisOptions = {},
): { -readonly [I in keyof S]: X } {
  knownOptions('split', options, ['axis']);
  const axis = axisOf(x, options.axis ?? -1);
  const total = sizes.reduce((a, b) => a + b, 0);
  let start = 0;
  const parts =
    x.poisoned || total === x.shape[axis]
      ? sizes.map((size) => slice(x, { axis, start, end: (start += size) }))
      : badSplit(x, `${axis} into ${sizes.join(' + ')} = ${total}`, sizes.length);
  return parts as unknown as { -readonly [I in keyof S]: X };
}

/** The slices of a sized axis, without that axis: [T,2,Dk] along axis 1 → two of [T,Dk]. */
export function unstack<X extends Tensor>(x: X, options: { readonly axis: number; readonly count: number }): X[] {
  knownOptions('unstack', options, ['axis', 'count']);
  const axis = axisOf(x, options.axis);
  if (!x.poisoned && x.shape[axis] !== options.count)
    return badSplit(x, `${axis} into ${options.count}`, options.count);
  return Array.from({ length: options.count }, (_, i) =>
    reshape(slice(x, { axis, start: i, end: i + 1 }), x.shape.toSpliced(axis, 1)),
  );
}

/** Values one after the other along an axis (default the last); equal in all other axes. */
export function concat<X extends Tensor>(parts: readonly X[], options: AxisOptions = {}): X {
  knownOptions('concat', options, ['axis']);
  const axis = options.axis ?? -1;
  if (parts.length === 0) {
    const trace = currentTrace('concat');
    trace.report({ code: 'wrong-input-count', message: 'concat: no values', got: '0', wanted: 'at least 1' });
    return trace.poison('f32') as X;
  }
  return apply1('concat', 'concat', parts, (first) => ({ axis: axisOf(first!, axis) }));
}

/** Values of one shape as slices of a new axis, which is axis `axis` of the result: the inverse of `unstack`. */
export function stack<X extends Tensor>(parts: readonly X[], options: { readonly axis: number }): X {
  knownOptions('stack', options, ['axis']);
  const axis = axisOf({ dtype: 'f32', shape: [...(parts[0]?.shape ?? []), 1] }, options.axis);
  const slices = parts.map((part) => (part.poisoned ? part : reshape(part, part.shape.toSpliced(axis, 0, 1))));
  return slices.length === 1 ? slices[0]! : concat(slices, { axis });
}

function badSplit<X extends Tensor>(x: X, how: string, count: number): X[] {
  const trace = currentTrace('split');
  const hint = 'the sizes of the parts add up to the axis';
  trace.report({ code: 'wrong-shape', message: `cannot split axis ${how}`, got: shown(x), hint });
  return Array.from({ length: count }, () => trace.poison(x.dtype) as X);
}
