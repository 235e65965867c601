// Comparison of tensors, with a line that says how far they are apart and how to run the case again.

import * as assert from 'uvu/assert';
import type { Tensor } from '../../src/support/tensor.ts';
import { seed } from '../settings.ts';

/** Fails unless `got` has the dtype and shape of `wanted` and its elements: integers equal, floats within a relative l2 bound. */
export function closeTo(name: string, got: Tensor | undefined, wanted: Tensor, bound: number): void {
  const again = `again: FILTER='${name}' SEED=${seed}`;
  assert.ok(got, `${name}: no result; ${again}`);
  const typeText = (x: Tensor) => `${x.dtype}[${x.shape.join(',')}]`;
  assert.is(typeText(got), typeText(wanted), `${name}: ${typeText(got)}, wanted ${typeText(wanted)}; ${again}`);
  let [squares, total] = [0, 0];
  for (let i = 0; i < wanted.data.length; i++) {
    const [a, b] = [Number(got.data[i]), Number(wanted.data[i])];
    if (Object.is(a, b) || a === b) {
      total += Number.isFinite(b) ? b * b : 0;
      continue;
    }
    if (wanted.dtype !== 'f32' || bound === 0 || !Number.isFinite(a - b)) {
      assert.unreachable(`${name}: element ${i} is ${a}, wanted ${b}; ${again}`);
    }
    squares += (a - b) ** 2;
    total += b * b;
  }
  const error = Math.sqrt(squares / Math.max(total, 1e-30));
  assert.ok(error <= bound, `${name}: relative l2 error ${error.toExponential(2)} exceeds ${bound}; ${again}`);
}
