// Products of two operands summed over shared axes.

import { invariant } from '../../support/errors.ts';
import { elements, zeros } from '../../support/tensor.ts';
import { text } from '../attributes.ts';
import { type Dim, typeText } from '../graph.ts';
import { floats, shapeOf } from '../host.ts';
import { type Equation, parseEquation } from '../labels.ts';
import { isProblem, op, type Problem } from '../op.ts';
import { wrongDtype } from '../operands.ts';
import { permuted } from '../strides.ts';

/** Dim of every label, or why the operands do not fit the equation. */
export function labelDims(
  kind: string,
  names: readonly [string, string],
  labels: readonly [string, string],
  shapes: readonly [readonly Dim[], readonly Dim[]],
): Map<string, Dim> | Problem {
  const dims = new Map<string, Dim>();
  for (const input of [0, 1] as const) {
    const shape = shapes[input];
    if (shape.length !== labels[input].length) {
      const message = `${kind}: ${names[input]} has ${shape.length} axes, its labels "${labels[input]}" name ${labels[input].length}`;
      return {
        code: 'wrong-rank',
        message,
        got: `[${shape.join(',')}]`,
        wanted: `${labels[input].length} axes`,
        input,
      };
    }
    for (const [axis, label] of [...labels[input]].entries()) {
      const dim = shape[axis]!;
      const before = dims.get(label);
      if (before !== undefined && before !== dim) {
        const message = `${kind}: label ${label} is ${before} in ${names[0]} and ${dim} in ${names[1]}`;
        const got = `[${shapes[0].join(',')}] and [${shapes[1].join(',')}]`;
        return { code: 'wrong-shape', message, got, wanted: 'equal dims for one label', input };
      }
      dims.set(label, dim);
    }
  }
  return dims;
}

/** Labels by role: in both operands and the result, in one and the result, in both and summed, in one and summed. */
export function einsumRoles({ a, b, out }: Equation) {
  const pick = (from: string, keep: (label: string) => boolean) => [...from].filter(keep).join('');
  return {
    batch: pick(out, (l) => a.includes(l) && b.includes(l)),
    rows: pick(out, (l) => !b.includes(l)),
    columns: pick(out, (l) => !a.includes(l)),
    summed: pick(a, (l) => b.includes(l) && !out.includes(l)),
    summedA: pick(a, (l) => !b.includes(l) && !out.includes(l)),
    summedB: pick(b, (l) => !a.includes(l) && !out.includes(l)),
  };
}

/** `einsum {equation}`: a f32, b f32 → f32; labels not in the result are summed. `linear(x, w)` is `tk,nk->tn`. */
export const einsum = op({
  kind: 'einsum',
  inputs: ['a', 'b'],
  attrs: { equation: text },
  infer([a, b], { equation }) {
    const parsed = parseEquation('einsum', equation);
    if (isProblem(parsed)) return parsed;
    const wrong = wrongDtype('einsum', 'a', a!, ['f32'], 0) ?? wrongDtype('einsum', 'b', b!, ['f32'], 1);
    if (wrong) return wrong;
    const dims = labelDims('einsum', ['a', 'b'], [parsed.a, parsed.b], [a!.shape, b!.shape]);
    if (isProblem(dims)) return { ...dims, got: `${typeText(a!)} and ${typeText(b!)}` };
    return [{ dtype: 'f32', shape: [...parsed.out].map((label) => dims.get(label)!) }];
  },
  flops({ inputs, attrs, size }) {
    const parsed = parseEquation('einsum', attrs.equation);
    if (isProblem(parsed)) return 0;
    const all = new Map<string, Dim>();
    for (const [i, label] of [...parsed.a].entries()) all.set(label, inputs[0]!.shape[i]!);
    for (const [i, label] of [...parsed.b].entries()) all.set(label, inputs[1]!.shape[i]!);
    return 2 * [...all.values()].reduce<number>((n, dim) => n * size(dim), 1);
  },
  // Both operands are laid out as [batch, rows or columns, summed], so that every result is one dot product in f64.
  run([a, b], { equation }) {
    const parsed = parseEquation('einsum', equation);
    invariant(!isProblem(parsed), `einsum with the equation ${equation}`);
    const dims = labelDims('einsum', ['a', 'b'], [parsed.a, parsed.b], [shapeOf(a), shapeOf(b)]);
    invariant(!isProblem(dims), 'einsum of operands that do not fit');
    const size = (labels: string) => [...labels].reduce((n, label) => n * (dims.get(label) as number), 1);
    const { batch, rows, columns, summed, summedA, summedB } = einsumRoles(parsed);
    const [B, M, N, K] = [size(batch), size(rows), size(columns), size(summed)];
    const left = sumTail(arranged(floats(a), shapeOf(a), parsed.a, batch + rows + summed + summedA), size(summedA));
    const right = sumTail(arranged(floats(b), shapeOf(b), parsed.b, batch + columns + summed + summedB), size(summedB));
    const product = new Float32Array(B * M * N);
    for (let i = 0; i < B; i++) {
      multiply(
        left.subarray(i * M * K, (i + 1) * M * K),
        right.subarray(i * N * K, (i + 1) * N * K),
        K,
        product,
        i * M * N,
      );
    }
    const outShape = [...parsed.out].map((label) => dims.get(label) as number);
    const computed = batch + rows + columns;
    const out = zeros('f32', outShape);
    out.data.set(
      arranged(
        product,
        [...computed].map((label) => dims.get(label) as number),
        computed,
        parsed.out,
      ),
    );
    return [out];
  },
});

type Reals = Float32Array | Float64Array;

/** Elements with their axes in another label order; the array itself where the order is the same. */
function arranged(data: Float32Array, shape: readonly number[], labels: string, wanted: string): Float32Array {
  return labels === wanted
    ? data
    : permuted(
        data,
        shape,
        [...wanted].map((label) => labels.indexOf(label)),
      );
}

/** Sums of `width` neighbours; kept in f64, since more products follow. */
function sumTail(data: Float32Array, width: number): Reals {
  if (width === 1) return data;
  const sums = new Float64Array(elements([data.length]) / width);
  for (let i = 0; i < data.length; i++) sums[Math.floor(i / width)]! += data[i]!;
  return sums;
}

/** y[m,n] = Σ_k a[m,k]·b[n,k]. Four columns at a time, so that each a[m,k] is read once for them. */
function multiply(a: Reals, b: Reals, K: number, y: Float32Array, start: number): void {
  if (K === 0) return;
  const M = a.length / K;
  const N = b.length / K;
  for (let n = 0; n + 4 <= N; n += 4) {
    const [b0, b1, b2, b3] = [n * K, (n + 1) * K, (n + 2) * K, (n + 3) * K];
    for (let m = 0; m < M; m++) {
      let [s0, s1, s2, s3] = [0, 0, 0, 0];
      for (let k = 0, i = m * K; k < K; k++, i++) {
        const x = a[i]!;
        s0 += x * b[b0 + k]!;
        s1 += x * b[b1 + k]!;
        s2 += x * b[b2 + k]!;
        s3 += x * b[b3 + k]!;
      }
      const to = start + m * N + n;
      y[to] = s0;
      y[to + 1] = s1;
      y[to + 2] = s2;
      y[to + 3] = s3;
    }
  }
  for (let n = N - (N % 4); n < N; n++) {
    for (let m = 0; m < M; m++) {
      let sum = 0;
      for (let k = 0; k < K; k++) sum += a[m * K + k]! * b[n * K + k]!;
      y[start + m * N + n] = sum;
    }
  }
}
