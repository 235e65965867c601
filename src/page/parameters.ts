// The weights of a model by what they are for, as the ops that read them say, and how many of their numbers one token meets.

import type { Graph, Node, ValueId, Weight } from '../ir/graph.ts';
import { isProblem, matches, Uses } from '../ir/index.ts';
import { parseGather } from '../ir/ops/gather.ts';

/** In the order in which a weight that is read in several ways gets its one name. */
export const parameterKinds = [
  'scales of quantised tables',
  'value tables',
  'experts',
  'keys',
  'embeddings',
  'slot permutations',
  'score cores',
  'convolutions',
  'norms',
  'routers',
  'attention',
  'projections of memories',
  'output projections',
  'other dense products',
  'biases and factors',
  'read by nothing',
] as const;
export type ParameterKind = (typeof parameterKinds)[number];

export interface Parameters {
  readonly kind: ParameterKind;
  readonly tensors: readonly string[];
  readonly elements: number;
  /** Numbers of them that a step of one token reads: rows where it chooses rows, else all. */
  readonly touched: number;
}

/** One way in which a weight is read. `touched`: numbers that one token needs; undefined: all. */
interface Reading {
  readonly kind: ParameterKind;
  readonly touched: number | undefined;
}

/** The weights of `before` by kind, most numbers first, as `after`, the same graph after all passes, reads them. */
export function parametersOf(before: Graph, after: Graph): Parameters[] {
  const uses = new Uses(after);
  const written = new Set(before.weights.map(({ id }) => id));
  const kinds = new Map<ParameterKind, { tensors: string[]; elements: number; touched: number }>();
  for (const weight of after.weights) {
    const elements = sizeOf(weight.type.shape);
    const readings = written.has(weight.id)
      ? readingsOf(weight, uses)
      : readingsOf(weight, uses).map((reading) => ({ ...reading, kind: parameterKinds[0] }));
    const kind = parameterKinds.find((one) => readings.some((reading) => reading.kind === one)) ?? 'read by nothing';
    const touched = readings.reduce((n, reading) => n + (reading.touched ?? elements), 0);
    const sum = kinds.get(kind) ?? { tensors: [], elements: 0, touched: 0 };
    sum.tensors.push(weight.name);
    sum.elements += elements;
    sum.touched += Math.min(elements, touched);
    kinds.set(kind, sum);
  }
  return [...kinds].map(([kind, sum]) => ({ kind, ...sum })).sort((a, b) => b.elements - a.elements);
}

/** Elements of one token: symbols count as 1. */
const sizeOf = (shape: readonly (number | string)[]): number =>
  shape.reduce<number>((n, dim) => (typeof dim === 'number' ? n * dim : n), 1);

/** Rows of a product that a weight became a part of: from, to. */
type Rows = readonly [from: number, to: number] | undefined;

function readingsOf(weight: Weight, uses: Uses): Reading[] {
  const found: Reading[] = [];
  const seen = new Set<string>();
  const follow = (id: ValueId, rows: Rows): void => {
    for (const node of uses.users(id)) {
      for (const [i, input] of node.inputs.entries()) {
        const key = `${node.results[0]!.id} ${i} ${rows}`;
        if (input !== id || seen.has(key)) continue;
        seen.add(key);
        if (passesOn(node, i, uses)) for (const result of node.results) follow(result.id, rowsIn(node, i, rows, uses));
        else found.push(reading(node, i, rows, uses));
      }
    }
    if (uses.isOutput(id)) found.push({ kind: 'other dense products', touched: undefined });
  };
  follow(weight.id, undefined);
  return found;
}

/** Whether a node only brings a weight into another form when it is loaded: of several operands, the largest is the one that lives on. */
function passesOn(node: Node, operand: number, uses: Uses): boolean {
  if (node.stage !== 'prepare' || node.op === 'rank1') return false;
  if (node.op === 'norm') return operand === 0;
  if (node.op === 'concat') return true;
  const sizes = node.inputs.map((id) => sizeOf(uses.type(id).shape));
  return sizes[operand] === Math.max(...sizes);
}

/** Where the rows of a weight stand after a node that joins it to others. */
function rowsIn(node: Node, operand: number, rows: Rows, uses: Uses): Rows {
  if (!matches(node, 'concat', { axis: 0 })) return rows;
  const size = (id: ValueId): number => uses.type(id).shape[0] as number;
  const from = node.inputs.slice(0, operand).reduce((n, id) => n + size(id), 0);
  return [from, from + size(node.inputs[operand]!)];
}

function reading(node: Node, operand: number, rows: Rows, uses: Uses): Reading {
  const all = (kind: ParameterKind): Reading => ({ kind, touched: undefined });
  const size = (i: number): number => sizeOf(uses.type(node.inputs[i]!).shape);
  const width = (i: number): number => uses.type(node.inputs[i]!).shape.at(-1) as number;
  switch (node.op) {
    case 'gather_pool':
      return operand === 0
        ? { kind: 'value tables', touched: size(1) * width(0) }
        : { kind: 'biases and factors', touched: size(1) };
    case 'gather':
      return gathered(node, uses);
    case 'gather_dot':
      return {
        kind: choosesSlots(node.inputs[2]!, uses) ? 'value tables' : 'keys',
        touched: sizeOf(node.results[0]!.type.shape) * width(1),
      };
    case 'score_topk':
      return all('keys');
    case 'rescore_topk':
      if (operand === 7) return { kind: 'slot permutations', touched: sizeOf(node.results[0]!.type.shape) };
      return operand === 6 ? all('score cores') : { kind: 'keys', touched: rescored(node, uses) };
    case 'sum_grid_topk':
      return { kind: 'slot permutations', touched: sizeOf(node.results[0]!.type.shape) };
    case 'grid_topk':
    case 'rank1':
      return all('score cores');
    case 'expert_linear':
      return { kind: 'experts', touched: (size(1) / (uses.type(node.inputs[1]!).shape[0] as number)) * size(2) };
    case 'norm':
    case 'add_norm':
      return all('norms');
    case 'causal_conv':
      return all('convolutions');
    case 'einsum':
      return all(node.stage === 'step' ? productKind(node, rows, uses) : 'biases and factors');
    default:
      return all('biases and factors');
  }
}

/** Ranks of the keys that a side has kept: H·M·R rows of D a token. */
function rescored(node: Node, uses: Uses): number {
  const [, , R, D] = uses.type(node.inputs[4]!).shape as [number, number, number, number];
  return sizeOf(uses.type(node.inputs[0]!).shape) * R * D;
}

/** Rows that are copied out: one per token is an embedding, several are rows of a table, or matrices of experts. */
function gathered(node: Node, uses: Uses): Reading {
  const touched = sizeOf(node.results[0]!.type.shape);
  const [source, index] = node.inputs.map((id) => uses.type(id)) as [
    ReturnType<Uses['type']>,
    ReturnType<Uses['type']>,
  ];
  if (source.dtype === 'i32') return { kind: 'slot permutations', touched };
  const equation = parseGather(String(node.attrs.equation));
  const shared = isProblem(equation)
    ? 0
    : [...equation.source].filter((label) => equation.index.includes(label)).length;
  if (source.shape.length - 1 - shared >= 2) return { kind: 'experts', touched };
  return { kind: sizeOf(index.shape) === 1 ? 'embeddings' : 'value tables', touched };
}

/** Whether an index is an address of stage 2 rather than a key of stage 1. */
function choosesSlots(index: ValueId, uses: Uses): boolean {
  const maker = uses.producer(index);
  if (maker === undefined) return true;
  if (['rescore_topk', 'sum_grid_topk', 'grid_topk'].includes(maker.op)) return true;
  if (['score_topk', 'topk'].includes(maker.op)) return false;
  return maker.inputs.some((id) => uses.type(id).dtype === 'i32' && !uses.isConstant(id) && choosesSlots(id, uses));
}

/** What a product of a step is for: by what reads it, through views and norms, or else by what it reads. */
function productKind(node: Node, rows: Rows, uses: Uses): ParameterKind {
  const readers = new Set<ParameterKind>();
  const follow = (id: ValueId, part: Rows): void => {
    if (uses.isOutput(id)) readers.add('output projections');
    for (const user of uses.users(id)) {
      const slice = matches(user, 'slice');
      if (slice && part && (slice.attrs.end <= part[0] || slice.attrs.start >= part[1])) continue;
      const kind = readerKind(user, user.inputs.indexOf(id));
      if (kind !== undefined) readers.add(kind);
      if (leadsOn(user, id, uses)) follow(user.results[0]!.id, slice ? undefined : part);
    }
  };
  follow(node.results[0]!.id, rows);
  const x = node.inputs.find((id) => !uses.isConstant(id));
  const source = x === undefined ? undefined : sourceKind(x, uses);
  return parameterKinds.find((kind) => readers.has(kind) || source === kind) ?? 'other dense products';
}

function readerKind({ op }: Node, operand: number): ParameterKind | undefined {
  if (op === 'attention') return 'attention';
  if (op === 'topk' || (op === 'expert_linear' && operand >= 2)) return 'routers';
  const queries: Readonly<Record<string, readonly number[]>> = {
    score_topk: [0],
    gather_dot: [0],
    rescore_topk: [2, 3],
  };
  return queries[op]?.includes(operand) ? 'projections of memories' : undefined;
}

/** Whether a node hands a product on as it is, but for its form, its norm and what is known when weights load. */
function leadsOn(node: Node, id: ValueId, uses: Uses): boolean {
  if (['reshape', 'transpose', 'slice', 'cast', 'norm', 'rope', 'softmax', 'causal_conv'].includes(node.op))
    return true;
  return node.op === 'binary' && node.inputs.every((one) => one === id || uses.isConstant(one));
}

function sourceKind(id: ValueId, uses: Uses): ParameterKind | undefined {
  const maker = uses.producer(id);
  if (maker === undefined) return undefined;
  if (maker.op === 'attention') return 'attention';
  if (maker.op === 'gather_pool') return 'projections of memories';
  return ['reshape', 'transpose', 'slice', 'cast'].includes(maker.op) ? sourceKind(maker.inputs[0]!, uses) : undefined;
}
