// The arithmetic of views against moving elements by hand.

import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { View } from '../../src/plan/types.ts';
import { denseView, innerContiguous, mergeAxes, reshapeView, sliceView, transposeView } from '../../src/plan/views.ts';
import { seed } from '../settings.ts';

const test = suite('views');

/** Addresses of a view's elements in row-major order; T is 2. */
function addresses(view: View): number[] {
  let all = [view.offset];
  for (const [axis, dim] of view.shape.entries()) {
    const size = typeof dim === 'number' ? dim : 2;
    all = all.flatMap((at) => Array.from({ length: size }, (_, i) => at + i * view.strides[axis]!));
  }
  return all;
}

const dims = fc.array(fc.constantFrom(1, 2, 3, 4), { minLength: 1, maxLength: 4 });
const dense = (shape: (number | string)[]): View => denseView({ name: 'x' }, { dtype: 'f32', shape });

/** The same number of elements in other dims. */
const regroup = (shape: readonly number[], cuts: readonly boolean[]): number[] => {
  const out: number[] = [];
  for (const [i, d] of shape.entries()) {
    if (i > 0 && cuts[i]) out[out.length - 1]! *= d;
    else out.push(d);
  }
  return out;
};

test('a reshape of a dense value is always a view of the same elements', () => {
  fc.assert(
    fc.property(dims, fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }), fc.boolean(), (shape, cuts, tokens) => {
      const lead = tokens ? ['T'] : [];
      const view = reshapeView(dense([...lead, ...shape]), [...lead, ...regroup(shape, cuts)]);
      assert.ok(view);
      assert.equal(addresses(view), addresses(dense([...lead, ...shape])));
      const back = reshapeView(view, [...lead, ...shape]);
      assert.ok(back);
      assert.equal(addresses(back), addresses(view));
    }),
    { seed },
  );
});

test('a reshape after transpose and slice keeps the elements, or is refused', () => {
  fc.assert(
    fc.property(
      fc.tuple(fc.constantFrom(2, 3, 4), fc.constantFrom(2, 3), fc.constantFrom(2, 4)),
      fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
      fc.constantFrom([0, 1, 2], [2, 0, 1], [1, 0, 2], [2, 1, 0]),
      (shape, cuts, perm) => {
        const turned = transposeView(dense(shape), perm);
        const part = sliceView(turned, 0, 1, turned.shape[0] as number);
        const view = reshapeView(part, regroup(part.shape as number[], cuts));
        if (view !== undefined) assert.equal(addresses(view), addresses(part));
      },
    ),
    { seed },
  );
});

test('merged axes walk the same addresses in the same order', () => {
  fc.assert(
    fc.property(dims, fc.boolean(), (shape, turn) => {
      const view = turn
        ? transposeView(
            dense(shape),
            shape.map((_, i) => shape.length - 1 - i),
          )
        : dense(shape);
      const merged = mergeAxes(view.shape as number[], [view.strides]);
      const walked = { ...view, shape: merged.dims, strides: merged.operands[0]! };
      assert.equal(addresses(walked), addresses(view));
    }),
    { seed },
  );
});

test('rows without gaps are told from rows with gaps', () => {
  const x = dense(['T', 2, 3]);
  assert.ok(innerContiguous(x));
  assert.ok(innerContiguous(sliceView(x, 1, 1, 2)));
  assert.not(innerContiguous(sliceView(x, 2, 0, 2)));
  assert.not(innerContiguous(transposeView(x, [0, 2, 1])));
  assert.ok(innerContiguous(transposeView(x, [1, 0, 2])), 'T is outermost in memory wherever it stands');
});

test.run();
