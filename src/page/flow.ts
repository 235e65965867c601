// What is drawn of a plan and of the graph before it: kernels with the ops they stand for, nodes as written, what goes from one to
// another; of layers that repeat, the first.

import type { Graph, Node, ValueId } from '../ir/graph.ts';
import { typeText } from '../ir/graph.ts';
import { Uses } from '../ir/match.ts';
import type { DeviceLaunch } from '../plan/device/launch.ts';
import type { AnyLaunch } from '../plan/types.ts';
import type { KernelData, OpData, Repeat } from './data.ts';
import { type DrawnEdge, type DrawnNode, draw, type Frame } from './drawing.ts';
import type { Html } from './html.ts';
import { parametersOf } from './kernels.ts';
import { repeatsOf, representatives } from './repeats.ts';

/** The kernels of a step, each with what it swallowed. */
export function drawKernels(
  step: { readonly name: string; readonly kernels: readonly KernelData[]; readonly repeats: readonly Repeat[] },
  launches: readonly (AnyLaunch | DeviceLaunch)[],
  ops: readonly OpData[],
): Html {
  const nodes = step.kernels.map(({ kernel, family, ops: own }, place): DrawnNode => {
    const lines = wrapped(counted(own.map((i) => ops[i]!.op)), 30);
    return { kind: 'kernel', place, title: `${place} ${kernel}`, lines, family };
  });
  const title = `Kernels of the step for ${step.name} tokens, and the ops that each stands for`;
  return drawFirsts(`kernels-${step.name}`, title, nodes, flowOf(launches), step.repeats);
}

/** The nodes of a graph that steps run, as it was written. */
export function drawWritten(graph: Graph): Html {
  const uses = new Uses(graph);
  const shown = graph.nodes.map((node, place) => ({ node, place })).filter(({ node }) => isStep(node, uses));
  const at = new Map(shown.flatMap(({ node }, i) => node.results.map(({ id }) => [id, i] as const)));
  const nodes = shown.map(({ node, place }): DrawnNode => {
    const { fn, equation } = node.attrs;
    const detail = fn ?? equation;
    const lines = detail === undefined ? [] : [String(detail).replace('->', '→')];
    return { kind: 'op', place, title: node.op, lines, family: undefined };
  });
  const edges = shown.flatMap(({ node }, to) =>
    node.inputs.flatMap((id): DrawnEdge[] => {
      const from = at.get(id);
      return from === undefined ? [] : [{ from, to, label: typeText(uses.type(id)) }];
    }),
  );
  const repeats = repeatsOf(shown.map(({ node }) => signatureOf(node, uses)));
  return drawFirsts('written', 'Ops of a step as the model was written', nodes, edges, repeats);
}

const isStep = (node: Node, uses: Uses): boolean => node.results.some(({ id }) => !uses.isConstant(id));

function signatureOf({ op, attrs, inputs, results }: Node, uses: Uses): string {
  const operands = inputs.map((id: ValueId) => [uses.leaf(id)?.kind ?? '', typeText(uses.type(id))]);
  return JSON.stringify([op, attrs, operands, results.map(({ type }) => type)]);
}

/** A drawing of the first block of each repeat and of all that does not repeat. */
function drawFirsts(
  id: string,
  title: string,
  all: readonly DrawnNode[],
  flow: readonly DrawnEdge[],
  repeats: readonly Repeat[],
): Html {
  const stands = representatives(all.length, repeats);
  const firsts = all.flatMap((_, i) => (stands[i] === i ? [i] : []));
  const shown = new Map(firsts.map((i, at) => [i, at]));
  const edges = new Map<string, DrawnEdge>();
  for (const { from, to, label } of flow) {
    const [a, b] = [shown.get(stands[from]!)!, shown.get(stands[to]!)!];
    if (a < b) edges.set(`${a} ${b}`, { from: a, to: b, label }); // the others lead into the next block
  }
  const frames = repeats.map(({ start, period, count }): Frame => {
    const before = (end: number): number => firsts.filter((i) => i < end).length;
    return { from: before(start), to: before(start + period), label: `× ${count}` };
  });
  return draw(
    id,
    title,
    firsts.map((i) => all[i]!),
    [...edges.values()],
    frames,
  );
}

/** From launches that write a buffer to those that read it. */
function flowOf(launches: readonly (AnyLaunch | DeviceLaunch)[]): DrawnEdge[] {
  const edges: DrawnEdge[] = [];
  const contents = new Map<string, { writers: number[]; read: boolean }>();
  for (const [to, launch] of launches.entries()) {
    const parameters = parametersOf(launch).flatMap(({ view, access }) => (view === null ? [] : [{ view, access }]));
    for (const { view, access } of parameters) {
      if (access === 'writes') continue;
      const content = contents.get(view.buffer);
      if (content === undefined) continue;
      content.read = true;
      for (const from of content.writers) edges.push({ from, to, label: typeText(view) });
    }
    for (const { view, access } of parameters) {
      if (access === 'reads') continue;
      const content = contents.get(view.buffer);
      // Writing what nobody has read adds to it; else it is something else.
      if (content === undefined || content.read) contents.set(view.buffer, { writers: [to], read: false });
      else content.writers.push(to);
    }
  }
  return edges;
}

/** `einsum ×3, topk` in the order of the first of each. */
function counted(names: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts].map(([name, count]) => (count === 1 ? name : `${name} ×${count}`));
}

/** Words in lines of so many characters at most. */
function wrapped(words: readonly string[], width: number): string[] {
  const lines: string[] = [];
  for (const word of words) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + word.length + 2 <= width) lines[lines.length - 1] = `${last}, ${word}`;
    else lines.push(word);
  }
  return lines;
}
