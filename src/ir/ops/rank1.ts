// The leading singular vectors of each head's core, or the stored ones.

import { zeros } from '../../support/tensor.ts';
import { floats, shapeOf } from '../host.ts';
import { op } from '../op.ts';
import { f32, shaped } from '../operands.ts';

/**
 * `rank1`: core f32[H,r,r], u0 f32[H,r], v0 f32[H,r] → u f32[H,r], v f32[H,r] (UltraMem §1, "u and v"). Per head: the stored
 * (u0, v0) when either has a non-zero entry, else the leading left and right singular vectors of the core with Σ u > 0; where that
 * sum is below 1e−6 in size, with the first entry of u beyond 1e−6 positive. A zero core gives the first unit vectors.
 */
export const rank1 = op({
  kind: 'rank1',
  inputs: ['core', 'u0', 'v0'],
  attrs: {},
  infer(types) {
    return shaped('rank1', this.inputs, types, ['f32[H,r,r]', 'f32[H,r]', 'f32[H,r]'], (dim) => [
      f32(dim('H'), dim('r')),
      f32(dim('H'), dim('r')),
    ]);
  },
  flops: ({ inputs, count, size }) => 60 * count(inputs[0]) * size(inputs[0]!.shape[1]),
  run([core, u0, v0]) {
    const [heads, r] = shapeOf(core) as [number, number];
    const [u, v] = [zeros('f32', [heads, r]), zeros('f32', [heads, r])];
    for (let h = 0; h < heads; h++) {
      const stored = [u0, v0].map((x) => floats(x).subarray(h * r, (h + 1) * r));
      const given = stored.some((x) => x.some((entry) => entry !== 0));
      const pair = given ? stored : leadingPair(floats(core).subarray(h * r * r, (h + 1) * r * r), r);
      u.data.set(pair[0]!, h * r);
      v.data.set(pair[1]!, h * r);
    }
    return [u, v];
  },
});

/** Leading singular vectors by one-sided Jacobi: columns of C are turned in pairs until all are orthogonal; C = U Σ Vᵀ. */
function leadingPair(core: ArrayLike<number>, r: number): [number[], number[]] {
  const columns = Array.from({ length: r }, (_, j) => Array.from({ length: r }, (_, i) => core[i * r + j]!));
  const turns = Array.from({ length: r }, (_, j) => Array.from({ length: r }, (_, i) => (i === j ? 1 : 0)));
  const dot = (a: number[], b: number[]) => a.reduce((sum, x, i) => sum + x * b[i]!, 0);
  for (let sweep = 0; sweep < 60; sweep++) {
    let turned = false;
    for (let p = 0; p < r; p++) {
      for (let q = p + 1; q < r; q++) {
        const [a, b, c] = [dot(columns[p]!, columns[p]!), dot(columns[q]!, columns[q]!), dot(columns[p]!, columns[q]!)];
        if (Math.abs(c) <= 1e-15 * Math.sqrt(a * b) || c === 0) continue;
        turned = true;
        const z = (b - a) / (2 * c);
        const tan = (z < 0 ? -1 : 1) / (Math.abs(z) + Math.sqrt(1 + z * z));
        const cos = 1 / Math.sqrt(1 + tan * tan);
        for (const set of [columns, turns]) {
          const [x, y] = [set[p]!, set[q]!];
          set[p] = x.map((value, i) => cos * (value - tan * y[i]!));
          set[q] = y.map((value, i) => cos * (value + tan * x[i]!));
        }
      }
    }
    if (!turned) break;
  }
  const lengths = columns.map((column) => Math.sqrt(dot(column, column)));
  const best = lengths.indexOf(Math.max(...lengths));
  const unit = Array.from({ length: r }, (_, i) => (i === 0 ? 1 : 0));
  if (!(lengths[best]! > 0)) return [unit, unit];
  const u = columns[best]!.map((x) => x / lengths[best]!);
  const v = turns[best]!;
  const sum = u.reduce((a, b) => a + b, 0);
  const sign = Math.abs(sum) > 1e-6 ? sum : (u.find((x) => Math.abs(x) > 1e-6) ?? 1);
  return sign < 0 ? [u.map((x) => -x), v.map((x) => -x)] : [u, v];
}
