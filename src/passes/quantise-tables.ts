// Tables that steps read row by row, as bytes with a scale per row: value rows to pool, rows to take dot products with, rows as they
// are. It rounds, so it is no rewrite like the others: it runs once, after all of them, and after those that store floats narrow.

import type { Dim, Graph, Node, Type, ValueId, Weight } from '../ir/graph.ts';
import { bareEdit, isProblem, makeNode, parseGather, type Trail, Uses } from '../ir/index.ts';
import { type QuantisedDType, scaleName } from '../support/dtype.ts';
import { deepFreeze } from '../support/freeze.ts';

/**
 * The graph with i8 or f8 in place of f32 or bf16 for weights of which steps read nothing but rows, by gather_pool, gather_dot or
 * gather, be it through reshapes that leave rows whole. Their scales are further weights, named `<weight>.scale`. A gather_pool takes
 * them as an operand; what the others give is multiplied by them. The graph itself where there is no such table.
 */
export function quantiseTables(graph: Graph, dtype: QuantisedDType, trail?: Trail): Graph {
  const uses = new Uses(graph);
  const tables = new Map(graph.weights.flatMap((weight) => entriesOf(uses, weight, dtype)));
  if (tables.size === 0) return graph;
  const weights = graph.weights.flatMap((weight) => {
    const table = tables.get(weight.id);
    if (table === undefined) return [weight];
    const scale: Weight = { ...weight, ...table.scale, name: scaleName(weight.name) };
    return [{ ...weight, type: table.type }, scale];
  });
  const stands = new Map<ValueId, ReadonlySet<Node>>();
  const nodes = graph.nodes.flatMap((node) => {
    const by = quantised(node, tables, uses);
    if (by.some((made) => made !== node)) for (const { results } of by) stands.set(results[0]!.id, new Set([node]));
    return by;
  });
  const result = deepFreeze({ ...graph, weights, nodes });
  trail?.follow(graph, result, { ...bareEdit, stands });
  return result;
}

/** A table or a view of one, and what stands for its scales. */
interface Table {
  readonly id: ValueId;
  readonly type: Type;
  readonly scale: { readonly id: ValueId; readonly type: Type };
}

/** The weight and all views of it, if steps read nothing but its rows. */
function entriesOf(uses: Uses, weight: Weight, dtype: QuantisedDType): [ValueId, Table][] {
  const { shape } = weight.type;
  if (!['f32', 'bf16'].includes(weight.type.dtype) || shape.length < 2) return [];
  const ids = viewsOfRows(uses, weight.id, shape.at(-1)!);
  if (ids === undefined || ids.every((id) => uses.users(id).every(({ op }) => op === 'reshape'))) return [];
  return ids.map((id) => {
    const of = uses.type(id).shape;
    const scale = { id: `${id}.scale`, type: { dtype: 'f32', shape: of.slice(0, -1) } as const };
    return [id, { id, type: { dtype, shape: of }, scale }];
  });
}

/** A value and its reshapes with rows of the same width; undefined where something reads it otherwise than by rows. */
function viewsOfRows(uses: Uses, id: ValueId, width: Dim): ValueId[] | undefined {
  if (uses.isOutput(id) || uses.type(id).shape.at(-1) !== width) return undefined;
  const views = [id];
  for (const user of uses.users(id)) {
    const more =
      user.op === 'reshape' ? viewsOfRows(uses, user.results[0]!.id, width) : readsRows(user, id) ? [] : undefined;
    if (more === undefined) return undefined;
    views.push(...more);
  }
  return views;
}

function readsRows(node: Node, id: ValueId): boolean {
  const at = node.inputs.flatMap((input, i) => (input === id ? [i] : []));
  if (node.stage !== 'step' || at.length !== 1) return false;
  switch (node.op) {
    case 'gather_pool':
      return at[0] === 0;
    case 'gather_dot':
      return at[0] === 1;
    case 'gather': {
      const equation = parseGather(node.attrs.equation as string);
      if (at[0] !== 0 || isProblem(equation)) return false;
      const last = equation.source.at(-1)!;
      return last !== equation.axis && equation.out.endsWith(last);
    }
    default:
      return false;
  }
}

/** A node on narrow tables; several where the rows' scales come after. */
function quantised(node: Node, tables: ReadonlyMap<ValueId, Table>, uses: Uses): Node[] {
  const table = node.inputs.map((id) => tables.get(id)).find((found) => found !== undefined);
  if (table === undefined) return [node];
  const { loc, stage } = node;
  const [{ id, type }] = node.results as [Node['results'][number]];
  const operands = node.inputs.map((input) => tables.get(input) ?? uses.operand(input));
  const product = (rows: Node, factors: Node): Node => {
    const mul = makeNode('binary', [rows.results[0]!, factors.results[0]!], { fn: 'mul' }, id, { loc, stage });
    return { ...mul, results: [{ id, type }] };
  };
  switch (node.op) {
    case 'reshape': {
      const view = tables.get(id)!;
      const shape = view.scale.type.shape;
      const scale = makeNode('reshape', [table.scale], { shape }, view.scale.id, { loc, stage });
      return [{ ...node, results: [{ id, type: view.type }] }, scale];
    }
    case 'gather_pool':
      return [{ ...node, inputs: [...node.inputs, table.scale.id] }];
    case 'gather_dot': {
      const dots = makeNode('gather_dot', operands, {}, `${id}.dots`, { loc, stage });
      const by = [table.scale, operands[2]!];
      const factors = makeNode('gather', by, { equation: 'hnr,thm->thmr' }, `${id}.scales`, { loc, stage });
      return [dots, factors, product(dots, factors)];
    }
    default: {
      const equation = node.attrs.equation as string;
      const [source, index, out] = equation.split(/,|->/) as [string, string, string];
      const rows = makeNode('gather', operands, { equation }, `${id}.rows`, { loc, stage });
      const wide = makeNode('cast', [rows.results[0]!], { dtype: 'f32' }, `${id}.wide`, { loc, stage });
      const factorsOf = `${source.slice(0, -1)},${index}->${out.slice(0, -1)}`;
      const by = [table.scale, operands[1]!];
      const scales = makeNode('gather', by, { equation: factorsOf }, `${id}.scales`, { loc, stage });
      const shape = [...scales.results[0]!.type.shape, 1];
      const factors = makeNode('reshape', [scales.results[0]!], { shape }, `${id}.factors`, { loc, stage });
      return [rows, wide, scales, factors, product(wide, factors)];
    }
  }
}
