// The op table as a model of bf16 meets it: operands and results stored narrow, arithmetic in f32; expected by the interpreter.

import { type Graph, Interpreter, makeNode, type Node, type Type, type ValueId } from '../../src/ir/index.ts';
import { storeNarrow } from '../../src/passes/store-narrow.ts';
import { convert } from '../../src/runtime/convert.ts';
import { seed } from '../settings.ts';
import { dataOf, type OpCase, type Tensors } from './case.ts';
import type { CaseForm } from './compiled-cases.ts';

/** The graph with its f32 inputs and results stored as bf16 too, so that ops read and write nothing wide. */
export function throughNarrow(graph: Graph): Graph {
  const stored = storeNarrow(graph);
  const casts: Node[] = [];
  const cast = (id: ValueId, type: Type, dtype: 'bf16' | 'f32'): ValueId => {
    casts.push(makeNode('cast', [{ id, type }], { dtype }, `${id}.${dtype}.through`));
    return `${id}.${dtype}.through`;
  };
  const inputs = new Map(
    stored.inputs.flatMap(({ id, type }) => (type.dtype === 'f32' ? [[id, cast(id, type, 'bf16')] as const] : [])),
  );
  const wide = new Map<ValueId, ValueId>();
  const nodes = stored.nodes.map((node) => ({
    ...node,
    inputs: node.inputs.map((id) => inputs.get(id) ?? id),
    results: node.results.map(({ id, type }) => {
      const computed = type.dtype === 'f32' && node.stage === 'step' && /^(?!cast|constant)/.test(node.op);
      if (!computed || /topk|gather_dot/.test(node.op)) return { id, type };
      const narrow: Type = { dtype: 'bf16', shape: type.shape };
      if (stored.outputs.some(({ value }) => value === id)) wide.set(id, cast(id, narrow, 'f32'));
      return { id, type: narrow };
    }),
  }));
  const first = casts.filter((node) => inputs.has(node.inputs[0]!));
  const last = casts.filter((node) => !inputs.has(node.inputs[0]!));
  const outputs = stored.outputs.map(({ name, value }) => ({ name, value: wide.get(value) ?? value }));
  return { ...stored, nodes: [...first, ...nodes, ...last], outputs };
}

/** What the interpreter makes of the same graph. */
function expectedNarrow(opCase: OpCase): Tensors[] {
  const graph = throughNarrow(opCase.graph);
  const { weights, steps } = dataOf(opCase, seed);
  const held = Object.fromEntries(
    graph.weights.flatMap(({ name, type }) => {
      const given = weights[name];
      return given === undefined ? [] : [[name, convert(given, type.dtype)]];
    }),
  );
  const interpreter = new Interpreter(graph, { weights: held, symbols: { S: opCase.sequences ?? 1 } });
  return steps.map((inputs) => interpreter.step(inputs).outputs);
}

export const narrowForm: CaseForm = { name: 'bf16', graph: throughNarrow, expected: expectedNarrow, tolerance: 1e-2 };
