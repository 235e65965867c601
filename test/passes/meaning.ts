// Whether two graphs mean the same: both run on the interpreter with the same data, step by step.

import * as assert from 'uvu/assert';
import { type Graph, Interpreter } from '../../src/ir/index.ts';
import type { Tensor } from '../../src/support/tensor.ts';

/** Data to run a graph with. */
export interface Data {
  readonly weights: Readonly<Record<string, Tensor>> | ReadonlyMap<string, Tensor>;
  readonly steps: readonly Readonly<Record<string, Tensor>>[];
  readonly symbols: Readonly<Record<string, number>>;
}

/** Outputs of every step, in order, by name. */
export function outputsOf(graph: Graph, { weights, steps, symbols }: Data): [name: string, tensor: Tensor][] {
  const interpreter = new Interpreter(graph, { weights, symbols });
  return steps.flatMap((inputs, i) =>
    Object.entries(interpreter.step(inputs).outputs).map(([name, tensor]): [string, Tensor] => [
      `${name}[${i}]`,
      tensor,
    ]),
  );
}

/** ‖a − b‖ / max(‖b‖, √elements·1e-3): relative where there is something to be relative to. */
export function distance(a: Tensor, b: Tensor): number {
  if (a.data.length !== b.data.length) return Number.NaN;
  let difference = 0;
  let size = 0;
  for (let i = 0; i < b.data.length; i++) {
    const [x, y] = [Number(a.data[i]), Number(b.data[i])];
    if (Object.is(x, y)) continue;
    difference += (x - y) ** 2;
  }
  for (let i = 0; i < b.data.length; i++) size += Number(b.data[i]) ** 2;
  return Math.sqrt(difference) / Math.max(Math.sqrt(size), Math.sqrt(b.data.length) * 1e-3);
}

/**
 * Whether a topk of the graph chooses between values that are equal but for rounding. A pass that reorders sums may then let
 * another index win, which is as good; outputs that depend on which cannot be compared.
 */
export function choosesByRounding(graph: Graph, data: Data): boolean {
  const chosenFrom = graph.nodes.filter(({ op }) => op === 'topk').map(({ inputs: [value] }) => value!);
  const taps = chosenFrom.map((value, i) => ({ name: `choice${i}`, value }));
  const interpreter = new Interpreter({ ...graph, taps }, { weights: data.weights, symbols: data.symbols });
  return data.steps.some((inputs) => Object.values(interpreter.step(inputs, { taps: true }).taps).some(hasNearTie));
}

function hasNearTie({ data, shape }: Tensor): boolean {
  const width = shape.at(-1)!;
  for (let start = 0; start < data.length; start += width) {
    const row = Float64Array.from(data.slice(start, start + width) as Float32Array).sort();
    const size = Math.max(Math.abs(row[0]!), Math.abs(row.at(-1)!));
    if (row.some((value, i) => i > 0 && value - row[i - 1]! <= size * 1e-5)) return true;
  }
  return false;
}

/** Fails where outputs of the two graphs differ by more than rounding, and no choice by rounding explains it. */
export function sameMeaning(before: Graph, after: Graph, data: Data, original = before): void {
  const wanted = outputsOf(before, data);
  const got = outputsOf(after, data);
  for (const [i, [name, tensor]] of wanted.entries()) {
    const error = distance(got[i]![1], tensor);
    if (error <= 1e-5 || choosesByRounding(original, data)) continue;
    assert.unreachable(`output ${name} is off by ${error} (relative l2)`);
  }
}
