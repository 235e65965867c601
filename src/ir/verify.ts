// The rules that every graph keeps, between any two passes.

import { badGraph } from '../support/errors/ir.ts';
import { nearest } from '../support/suggest.ts';
import { inferTypes } from './build-node.ts';
import type { Dim, Graph, Leaf, Node, Type, ValueId } from './graph.ts';
import { placements, storedAs, typeText } from './graph.ts';
import { isProblem, stateOperands } from './op.ts';
import { isKind, ops } from './ops/index.ts';
import { nodeText } from './print.ts';

/** Throws `bad-graph` with every fault found; returns the graph. */
export function verify(graph: Graph): Graph {
  const faults = faultsOf(graph);
  if (faults.length > 0) throw badGraph(graph.name, faults);
  return graph;
}

/**
 * Faults of a graph, in words: ids unique and defined before use; ops and attributes known; stated types as inferred, floats perhaps stored otherwise; symbols
 * declared; every state used by one node, in a state position; prepare nodes on weights and prepare values alone; outputs and taps
 * named once and defined.
 */
export function faultsOf(graph: Graph): string[] {
  const faults: string[] = [];
  const leaves: readonly Leaf[] = [...graph.inputs, ...graph.weights, ...graph.states];
  const types = new Map<ValueId, Type>();
  const stages = new Map<ValueId, 'prepare' | 'step' | 'state'>();
  const symbols = new Set(graph.symbols.map((symbol) => symbol.name));
  const define = (id: ValueId, type: Type, where: string, stage: 'prepare' | 'step' | 'state') => {
    if (!/^[\w.]+$/.test(id)) faults.push(`${where}: "${id}" is no value id`);
    if (types.has(id)) faults.push(`${where}: value ${id} is defined twice`);
    for (const fault of dimFaults(type.shape, symbols)) faults.push(`${where}: ${fault}`);
    types.set(id, type);
    stages.set(id, stage);
  };
  faults.push(...twice('symbol', graph.symbols), ...twice('weight', graph.weights));
  faults.push(...twice('output', graph.outputs), ...twice('tap', graph.taps));
  for (const leaf of leaves) {
    const stage = { input: 'step', weight: 'prepare', state: 'state' } as const;
    define(leaf.id, leaf.type, `${leaf.kind} ${leaf.id}`, stage[leaf.kind]);
    if (leaf.kind === 'weight' && leaf.type.shape.some((dim) => typeof dim === 'string')) {
      faults.push(`weight ${leaf.id}: a weight has no symbolic dims`);
    }
    if (leaf.kind === 'weight' && !placements.includes(leaf.placement)) {
      faults.push(`weight ${leaf.id}: no placement is called ${String(leaf.placement)}`);
    }
    if (leaf.kind === 'weight' && leaf.placement === 'file' && leaf.below !== undefined) {
      faults.push(
        `weight ${leaf.id}: it stays in its file, where nothing checks that elements lie below ${leaf.below}`,
      );
    }
    if (leaf.kind === 'input' && typeof leaf.below === 'string' && !symbols.has(leaf.below)) {
      faults.push(`input ${leaf.id}: below the symbol ${leaf.below}, which is not declared`);
    }
  }
  const stateUses = new Map<ValueId, string>();
  for (const node of graph.nodes) {
    const where = `node "${nodeText(node)}"`;
    for (const fault of nodeFaults(node, types, stages, stateUses)) faults.push(`${where}: ${fault}`);
    for (const { id, type } of node.results) define(id, type, where, node.stage);
  }
  if (graph.outputs.length === 0) faults.push('no outputs');
  for (const [word, entries] of [
    ['output', graph.outputs],
    ['tap', graph.taps],
  ] as const) {
    for (const { name, value } of entries) {
      if (!types.has(value)) faults.push(`${word} ${name}: value ${value} is not defined`);
      else if (stages.get(value) === 'state') faults.push(`${word} ${name}: ${value} is a state`);
    }
  }
  return faults;
}

function nodeFaults(
  node: Node,
  types: ReadonlyMap<ValueId, Type>,
  stages: ReadonlyMap<ValueId, string>,
  stateUses: Map<ValueId, string>,
): string[] {
  if (!isKind(node.op))
    return [`no op is called "${node.op}"; nearest: ${nearest(node.op, Object.keys(ops)) ?? 'none'}`];
  const undefinedInputs = node.inputs.filter((id) => !types.has(id));
  if (undefinedInputs.length > 0) return undefinedInputs.map((id) => `operand ${id} is not defined before it`);
  const faults: string[] = [];
  const statePositions = stateOperands(ops[node.op].inputs);
  for (const [position, id] of node.inputs.entries()) {
    const stage = stages.get(id)!;
    if ((stage === 'state') !== statePositions.includes(position)) {
      faults.push(stage === 'state' ? `state ${id} where a value belongs` : `operand ${id} where a state belongs`);
    }
    if (stage === 'state' && stateUses.has(id))
      faults.push(`state ${id} is used a second time, after ${stateUses.get(id)}`);
    if (stage === 'state') stateUses.set(id, node.results[0]?.id ?? node.op);
    if (node.stage === 'prepare' && stage !== 'prepare')
      faults.push(`a prepare node reads ${id}, which is no prepare value`);
  }
  const inferred = inferTypes(
    node.op,
    node.inputs.map((id) => types.get(id)!),
    node.attrs,
  );
  if (isProblem(inferred)) return [...faults, inferred.message];
  if (inferred.length !== node.results.length) faults.push(`${node.results.length} results, not ${inferred.length}`);
  for (const [i, { id, type }] of node.results.entries()) {
    const right = inferred[i];
    if (right && !storedAs(right, type)) faults.push(`${id} is stated as ${typeText(type)}, but is ${typeText(right)}`);
  }
  return faults;
}

function dimFaults(shape: readonly Dim[], symbols: ReadonlySet<string>): string[] {
  return shape.flatMap((dim) => {
    if (typeof dim === 'string') return symbols.has(dim) ? [] : [`symbol ${dim} is not declared`];
    return Number.isSafeInteger(dim) && dim >= 0 ? [] : [`${dim} is no size`];
  });
}

function twice(what: string, entries: readonly { readonly name: string }[]): string[] {
  const names = entries.map((entry) => entry.name);
  const repeated = names.filter((name, i) => names.indexOf(name) === i && names.lastIndexOf(name) !== i);
  return repeated.map((name) => `two ${what}s are called ${name}`);
}
