// The op table with weights that steps read row by row as bytes: the checkpoint holds floats, loading quantises them, and the
// interpreter says what then comes out.

import { describeGraph } from '../../src/interpret-engine.ts';
import { type Graph, Interpreter } from '../../src/ir/index.ts';
import { quantiseTables } from '../../src/passes/quantise-tables.ts';
import { matchWeights, readWeights } from '../../src/runtime/weights.ts';
import { isQuantised, type QuantisedDType } from '../../src/support/dtype.ts';
import { seed } from '../settings.ts';
import { dataOf, type OpCase, type Tensors } from './case.ts';
import type { CaseForm } from './compiled-cases.ts';
import { throughNarrow } from './narrow.ts';

/** `through`: what stores floats narrow before. */
export function quantisedForm(dtype: QuantisedDType, through: (graph: Graph) => Graph = (graph) => graph): CaseForm {
  const graph = (of: Graph): Graph => quantiseTables(through(of), dtype);
  return {
    name: through === throughNarrow ? `bf16 and ${dtype}` : dtype,
    graph,
    applies: (opCase) => graph(opCase.graph).weights.some(({ type }) => isQuantised(type.dtype)),
    expected: async (opCase) => expected(opCase, graph(opCase.graph)),
    tolerance: through === throughNarrow ? 1e-2 : 2e-6,
  };
}

async function expected(opCase: OpCase, graph: Graph): Promise<Tensors[]> {
  const { weights, steps } = dataOf(opCase, seed);
  const held = await readWeights(await matchWeights(describeGraph(graph), weights));
  const interpreter = new Interpreter(graph, { weights: held, symbols: { S: opCase.sequences ?? 1 } });
  return steps.map((inputs) => interpreter.step(inputs).outputs);
}
