// Einsum: a linear over a packed weight where the right side is known when weights load, else a loop nest.

import type { Dim, Node } from '../../ir/graph.ts';
import { type Equation, parseEquation } from '../../ir/labels.ts';
import { isProblem } from '../../ir/op.ts';
import { unsupportedShape } from '../../support/errors/plan.ts';
import { invariant } from '../../support/errors.ts';
import { packedElements, type Scheduler, stem } from '../scheduler.ts';
import type { View } from '../types.ts';
import { mergeAxes, tokenForm } from '../views.ts';
import { operand, type PlanOp, result } from './operands.ts';

/** Up to so many products share one einsum as separate launches before the loop nest takes over. */
const MOST_LAUNCHES = 16;

/** Below this many multiplications per row, packing gains nothing over the loop nest. */
const LEAST_WORK = 256;

export const planEinsum: PlanOp = (node, at) => {
  const equation = parseEquation('einsum', node.attrs.equation as string);
  invariant(!isProblem(equation), 'an unverified einsum');
  const a = operand(node, 0, at);
  const b = operand(node, 1, at);
  const swapped: Equation = { a: equation.b, b: equation.a, out: equation.out };
  if (planLinear(node, at, equation, a, b)) return;
  if (planLinear(node, at, swapped, b, a)) return;
  planLoops(node, at, equation, a, b);
};

/** Labels with their sizes and strides in each operand; T is left out. */
interface Label {
  readonly name: string;
  readonly size: number;
  readonly a: number | undefined;
  readonly b: number | undefined;
}

function labelsOf(node: Node, equation: Equation, a: View, b: View): Map<string, Label> {
  const labels = new Map<string, Label>();
  for (const name of new Set(equation.out + equation.a + equation.b)) {
    const inA = equation.a.indexOf(name);
    const inB = equation.b.indexOf(name);
    const size: Dim = inA >= 0 ? a.shape[inA]! : b.shape[inB]!;
    if (typeof size === 'string') {
      if (!equation.out.includes(name)) {
        throw unsupportedShape(
          'einsum',
          `label ${name}`,
          'kept in the result, since it is symbolic',
          node.attrs.equation as string,
          node.loc,
        );
      }
      continue;
    }
    const stride = (view: View, at: number) => (at < 0 ? undefined : view.strides[at]!);
    labels.set(name, { name, size, a: stride(a, inA), b: stride(b, inB) });
  }
  return labels;
}

/** `x` with rows, `w` known at load: batch labels become launches of their own, the rest is rows × N × K. */
function planLinear(node: Node, at: Scheduler, equation: Equation, x: View, w: View): boolean {
  const id = `%${node.results[0]!.id}`;
  if (!at.isPrepared(w) || at.isPrepared(x)) return false;
  const labels = [...labelsOf(node, equation, x, w).values()];
  const inOut = (l: Label) => equation.out.includes(l.name);
  const inOutOrder = (l: Label[]) => l.sort((p, q) => equation.out.indexOf(p.name) - equation.out.indexOf(q.name));
  const batch = inOutOrder(labels.filter((l) => inOut(l) && l.a !== undefined && l.b !== undefined));
  const rows = inOutOrder(labels.filter((l) => inOut(l) && l.b === undefined));
  const columns = inOutOrder(labels.filter((l) => inOut(l) && l.a === undefined));
  const summed = labels
    .filter((l) => !inOut(l))
    .sort((p, q) => equation.a.indexOf(p.name) - equation.a.indexOf(q.name));
  if (summed.length === 0 || columns.length === 0 || summed.some((l) => l.a === undefined || l.b === undefined))
    return false;

  const sizeOf = (group: readonly Label[]) => group.reduce((n, l) => n * l.size, 1);
  const N = sizeOf(columns);
  const K = sizeOf(summed);
  if (N * K < LEAST_WORK || sizeOf(batch) > MOST_LAUNCHES) return false;

  // The result is stored as the graph states it; rows and columns must each walk it with one stride.
  const y0 = tokenForm({ buffer: '', offset: 0, ...denseLike(node) });
  const yStride = new Map(
    [...equation.out].filter((n) => labels.some((l) => l.name === n)).map((n, i) => [n, y0.strides[i]!]),
  );
  const one = (group: readonly Label[], stride: (l: Label) => number) =>
    mergeAxes(
      group.map((l) => l.size),
      [group.map(stride)],
    );
  const single = (group: readonly Label[], stride: (l: Label) => number): number | undefined => {
    const merged = one(group, stride);
    return merged.dims.length === 1 ? merged.operands[0]![0]! : undefined;
  };
  const yColumns = single(columns, (l) => yStride.get(l.name)!);
  const yRows = single(rows, (l) => yStride.get(l.name)!);
  const ldn = single(columns, (l) => l.b!);
  const ldk = single(summed, (l) => l.b!);
  if (yColumns !== 1 && N !== 1) return false;
  if (yRows === undefined) return false;
  const xForm = tokenForm(x);
  const factor = sizeOf(rows);
  const xSummed = single(summed, (l) => l.a!);
  const xRows = single(rows, (l) => l.a!);
  if (ldn === undefined || ldk === undefined) return false;
  if (
    (xSummed !== 1 && K !== 1) ||
    xRows === undefined ||
    (xForm.tokens && factor > 1 && xForm.ld !== xRows * factor)
  ) {
    const dense = at.dense(x);
    if (dense !== x) return planLinear(node, at, equation, dense, w);
    return false;
  }
  if (xForm.tokens && factor > 1 && y0.ld !== yRows * factor) return false;

  const y = result(node, 0, at);
  const ldx = factor > 1 ? xRows : xForm.tokens ? xForm.ld : K;
  const ldy = factor > 1 ? yRows : xForm.tokens ? y0.ld : N;
  for (let i = 0; i < sizeOf(batch); i++) {
    const offset = (stride: (l: Label) => number): number => {
      let rest = i;
      let sum = 0;
      for (const l of [...batch].reverse()) {
        sum += (rest % l.size) * stride(l);
        rest = Math.floor(rest / l.size);
      }
      return sum;
    };
    const source: View = { ...w, offset: w.offset + offset((l) => l.b!) };
    const packed = packedWeight(at, source, N, K, ldn, ldk);
    at.launch('linear', {
      rows: { factor, tokens: xForm.tokens },
      constants: { N, K, ldx, ldy },
      reads: { x: { ...x, offset: x.offset + offset((l) => l.a!) }, packed },
      writes: { y: { ...y, offset: offset((l) => yStride.get(l.name)!) } },
    });
  }
  const times = sizeOf(batch) > 1 ? ` × ${sizeOf(batch)}` : '';
  at.decide(
    id,
    `linear<${N},${K}>${times}`,
    'its right side is known when weights load, so it is packed once in panels of 64 columns',
  );
  return true;
}

const denseLike = (node: Node) => {
  const { dtype, shape } = node.results[0]!.type;
  const strides: number[] = new Array(shape.length);
  let stride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (typeof shape[axis] === 'string') continue;
    strides[axis] = stride;
    stride *= shape[axis] as number;
  }
  const t = shape.findIndex((d) => typeof d === 'string');
  if (t >= 0) strides[t] = stride;
  return { dtype, shape, strides };
};

/** A weight packed for native/cpu/linear.h, once however often it is used; on a device its rows [N,K] without gaps. */
export function packedWeight(at: Scheduler, w: View, N: number, K: number, ldn: number, ldk: number): View {
  const key = `pack ${w.buffer} ${w.offset} ${N} ${K} ${ldn} ${ldk}`;
  if (at.onDevice) {
    const matrix: View = { ...w, shape: [N, K], strides: [ldn, ldk] };
    return at.dense(matrix);
  }
  return at.prepared(key, (prepare) => {
    const packed = prepare.temporary(`${stem(w.buffer)}_packed`, {
      dtype: w.dtype,
      shape: [packedElements(w.dtype, N, K)],
    });
    prepare.launch('pack_linear', { constants: { N, K, ldn, ldk }, reads: { w }, writes: { packed } });
    return packed;
  });
}

/** Any einsum that keeps T: a loop nest with constant extents. */
function planLoops(node: Node, at: Scheduler, equation: Equation, a: View, b: View): void {
  const labels = labelsOf(node, equation, a, b);
  const kept = [...equation.out].filter((n) => labels.has(n)).map((n) => labels.get(n)!);
  const summed = [...labels.values()].filter((l) => !equation.out.includes(l.name));
  const y = result(node, 0, at);
  const all = [...kept, ...summed];
  at.launch('einsum', {
    rows: { factor: 1, tokens: tokenForm(y).tokens },
    constants: {
      dims: all.map((l) => l.size),
      yRank: kept.length,
      aStrides: all.map((l) => l.a ?? 0),
      bStrides: all.map((l) => l.b ?? 0),
    },
    reads: { a: at.widened(a), b: at.widened(b) },
    writes: { y },
  });
  const reason = node.stage === 'prepare' ? 'runs once, when weights load' : 'no side is a packed weight of some size';
  at.decide(`%${node.results[0]!.id}`, 'loop nest', reason);
}
