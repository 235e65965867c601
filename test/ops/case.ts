// What a case of the op table is, and its data.

import type { Graph, Kind } from '../../src/ir/index.ts';
import type { Tensor } from '../../src/support/tensor.ts';
import { Random } from '../random.ts';

export type Tensors = Record<string, Tensor>;

/** One op on some shapes and data. A target runs `graph` with the weights, step after step, and compares all outputs. */
export interface OpCase {
  /** Printed, and its own FILTER. */
  readonly name: string;
  /** The op under test. */
  readonly op: Kind;
  readonly graph: Graph;
  /** Sequences of the session, where the graph has the symbol S. */
  readonly sequences?: number;
  /** By name in the checkpoint. */
  weights(random: Random): Tensors;
  /** Inputs of consecutive steps of one session. */
  steps(random: Random): Tensors[];
  /** Outputs of every step, by formulas independent of the ops' references. */
  expected(weights: Tensors, steps: readonly Tensors[]): Tensors[];
  /** Relative l2 bound for f32 outputs; i32 outputs are exact. Default 1e-6; 0 asks for equal values. */
  readonly tolerance?: number;
}

/** Data of a case for a seed. */
export function dataOf(opCase: OpCase, seed: number): { weights: Tensors; steps: Tensors[]; expected: Tensors[] } {
  const random = new Random(seed, opCase.name);
  const weights = opCase.weights(random);
  const steps = opCase.steps(random);
  return { weights, steps, expected: opCase.expected(weights, steps) };
}

/** Numbers of tokens that steps have by default: one for each variant of a plan, and odd. */
export const tokenCounts = [1, 5, 19];

/** A case without states: each step has its own number of tokens, and outputs follow from weights and inputs of that step alone. */
export function stateless(
  op: Kind,
  name: string,
  graph: Graph,
  parts: {
    weights?: (random: Random) => Tensors;
    inputs: (random: Random, T: number) => Tensors;
    outputs: (given: Tensors, T: number) => Tensors;
    tolerance?: number;
    counts?: readonly number[];
  },
): OpCase {
  const counts = parts.counts ?? tokenCounts;
  return {
    name: `${op}(${name})`,
    op,
    graph,
    weights: parts.weights ?? (() => ({})),
    steps: (random) => counts.map((T) => parts.inputs(random, T)),
    expected: (weights, steps) => steps.map((inputs, i) => parts.outputs({ ...weights, ...inputs }, counts[i]!)),
    ...(parts.tolerance === undefined ? {} : { tolerance: parts.tolerance }),
  };
}
