// Graph → text. The text is the form of dumps, tests and bug reports; `parse(print(graph))` equals the graph.

import type { Attr, Dim, Graph, Input, Leaf, Loc, Named, Node, State, Type, ValueId, Weight } from './graph.ts';
import { typeText } from './graph.ts';

/** The text of a graph, ending with a newline. */
export function print(graph: Graph): string {
  const value = valueNames(graph);
  const lines = [`graph ${bare(graph.name)} {`];
  const say = (indent: number, text: string, loc?: Loc) => lines.push('  '.repeat(indent) + text + locText(loc));
  if (Object.keys(graph.meta).length > 0) say(1, `meta ${JSON.stringify(graph.meta)}`);
  for (const { name, bound, scope } of graph.symbols) say(1, `symbol ${name} <= ${bound} ${scope}`);
  for (const leaf of [...graph.inputs, ...graph.weights, ...graph.states]) say(1, leafText(leaf), leaf.loc);
  for (const run of stageRuns(graph.nodes)) {
    say(1, `${run[0]!.stage} {`);
    for (const node of run) say(2, nodeText(node, value), node.loc);
    say(1, '}');
  }
  const named = (word: string, entry: Named) => say(1, `${word} ${bare(entry.name)} = ${value(entry.value)}`);
  for (const output of graph.outputs) named('output', output);
  for (const tap of graph.taps) named('tap', tap);
  lines.push('}', '');
  return lines.join('\n');
}

/** One node as it stands in the text of its graph, without its place. */
export function nodeText(node: Node, value: (id: ValueId) => string = (id) => `%${id}`): string {
  const results = node.results.map((result) => value(result.id)).join(', ');
  const types = node.results.map((result) => typeText(result.type)).join(', ');
  const operands = node.inputs.map(value).join(', ');
  const attrs = Object.keys(node.attrs)
    .sort()
    .map((name) => `${name}=${attrText(node.attrs[name]!)}`);
  const parts = [node.op, operands, attrs.length > 0 ? `{${attrs.join(', ')}}` : ''].filter((part) => part !== '');
  return `${results} = ${parts.join(' ')} : ${types}`;
}

/** How the text of a graph writes its values: `@` before weights, `$` before states, `%` before everything else. */
export function valueNames({ weights, states }: Graph): (id: ValueId) => string {
  const sigils = new Map<ValueId, string>();
  for (const weight of weights) sigils.set(weight.id, '@');
  for (const state of states) sigils.set(state.id, '$');
  return (id) => `${sigils.get(id) ?? '%'}${id}`;
}

const leafText = (leaf: Leaf): string => leafTexts[leaf.kind](leaf as never);

const leafTexts = {
  input: ({ id, type, below }: Input) => `input %${id} : ${shown(type)}${belowText(below)}`,
  weight: ({ id, name, type, optional, below, placement }: Weight) =>
    `weight @${id} ${JSON.stringify(name)} : ${shown(type)}${optional ? ' optional' : ''}${belowText(below)}${placement === 'memory' ? '' : ` in ${placement}`}`,
  state: ({ id, type }: State) => `state $${id} : ${shown(type)}`,
} as const satisfies Record<Leaf['kind'], unknown>;

const shown = (type: Type): string => typeText(type);
const belowText = (below: Dim | undefined): string => (below === undefined ? '' : ` below ${below}`);
const locText = (loc: Loc | undefined): string => (loc ? `  // ${loc.file}:${loc.line}:${loc.column}` : '');

/** A name as it is where it is a plain word, else quoted. */
const bare = (name: string): string => (/^[\w.]+$/.test(name) ? name : JSON.stringify(name));

/** JSON, but for numbers that JSON lacks. */
function attrText(attr: Attr): string {
  if (Array.isArray(attr)) return `[${attr.map((item: Attr) => attrText(item)).join(',')}]`;
  if (Object.is(attr, -0)) return '-0';
  return typeof attr === 'number' ? String(attr) : JSON.stringify(attr);
}

/** Neighbouring nodes of one stage. */
function stageRuns(nodes: readonly Node[]): Node[][] {
  const runs: Node[][] = [];
  for (const node of nodes) {
    const last = runs.at(-1);
    if (last?.[0]?.stage === node.stage) last.push(node);
    else runs.push([node]);
  }
  return runs;
}
