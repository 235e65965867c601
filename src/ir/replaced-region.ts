// What a rewrite replaced, read off the edit itself: the nodes between what new nodes read and the value that they stand in for.

import type { Graph, Node, ValueId } from './graph.ts';
import type { Uses } from './match.ts';
import type { Edit } from './trail.ts';

/** Edits on a graph, and the graph that they gave. */
export interface Edits {
  readonly graph: Graph;
  readonly uses: Uses;
  readonly added: readonly Node[];
  /** Value of `graph` → the value that its readers read instead. */
  readonly replaced: ReadonlyMap<ValueId, ValueId>;
  readonly result: Graph;
}

/** Ops that compute nothing: they put elements in another order. Beside nodes that compute, they stand for none. */
const arranging: readonly string[] = ['reshape', 'transpose', 'slice', 'concat'];

/**
 * Which old nodes each added one stands for. A value that is replaced was computed by the old nodes between it and what the new nodes
 * read, and is computed now by the new nodes behind its replacement: each of them stands for those old nodes that depend on what it
 * reads itself. What nothing but such old nodes read and is gone, as constants are that became literals, goes with its readers.
 */
export function editOf({ graph, uses, added, replaced, result }: Edits): Edit {
  const makers = new Map(added.flatMap((node) => node.results.map(({ id }) => [id, node] as const)));
  const places = new Map(graph.nodes.map((node, place) => [node, place]));
  const stands = new Map<ValueId, Set<Node>>();
  const same = new Map<Node, ValueId>();

  /** The added nodes that a value is computed by. */
  const coneOf = (value: ValueId): ReadonlySet<Node> => {
    const cone = new Set<Node>();
    for (let queue = [value], id = queue.pop(); id !== undefined; id = queue.pop()) {
      const node = makers.get(id);
      if (node === undefined || cone.has(node)) continue;
      cone.add(node);
      queue.push(...node.inputs);
    }
    return cone;
  };
  /** The old values that added nodes read. */
  const readBy = (cone: ReadonlySet<Node>): ReadonlySet<ValueId> =>
    new Set([...cone].flatMap(({ inputs }) => inputs.filter((id) => !makers.has(id))));

  for (const [old, by] of replaced) {
    const root = uses.producer(old);
    if (root === undefined) continue;
    const cone = coneOf(by);
    if (cone.size === 0) {
      same.set(root, by);
      continue;
    }
    const edge = readBy(cone);
    const behind = [...nodesBehind(root, edge, uses)].sort((a, b) => places.get(a)! - places.get(b)!);
    const computing = [...cone].filter(({ op }) => !arranging.includes(op));
    for (const node of computing.length > 0 ? computing : cone) {
      const id = node.results[0]!.id;
      const region = dependent(behind, readBy(coneOf(id)), uses);
      stands.set(id, new Set([...(stands.get(id) ?? []), ...region, root]));
    }
  }
  addGone(stands, same, { graph, uses, result });
  return { stands, same };
}

/** Adds nodes that are gone to those that stand for all of their readers. */
function addGone(
  stands: ReadonlyMap<ValueId, Set<Node>>,
  same: ReadonlyMap<Node, ValueId>,
  { graph, uses, result }: Pick<Edits, 'graph' | 'uses' | 'result'>,
): void {
  const kept = new Set(result.nodes.map(({ results }) => results[0]!.id));
  const taken = new Map<Node, Set<ValueId>>();
  const take = (node: Node, by: ValueId): void => void taken.set(node, (taken.get(node) ?? new Set()).add(by));
  for (const [id, nodes] of stands) for (const node of nodes) take(node, id);
  // Readers come before what they read.
  for (const node of graph.nodes.toReversed()) {
    if (taken.has(node) || same.has(node) || kept.has(node.results[0]!.id)) continue;
    const readers = node.results.flatMap(({ id }) => uses.users(id));
    if (!readers.every((reader) => taken.has(reader))) continue;
    for (const id of readers.flatMap((reader) => [...taken.get(reader)!])) {
      take(node, id);
      stands.get(id)!.add(node);
    }
  }
}

/** The nodes that a node is computed by, itself included, up to the values of `edge`. */
function nodesBehind(root: Node, edge: ReadonlySet<ValueId>, uses: Uses): ReadonlySet<Node> {
  const behind = new Set([root]);
  for (const node of behind) {
    for (const id of node.inputs) {
      const maker = edge.has(id) ? undefined : uses.producer(id);
      if (maker !== undefined) behind.add(maker);
    }
  }
  return behind;
}

/** Those of nodes in topological order that values decide. */
function dependent(nodes: readonly Node[], values: ReadonlySet<ValueId>, uses: Uses): ReadonlySet<Node> {
  const found = new Set<Node>();
  for (const node of nodes) {
    const decided = node.inputs.some((id) => values.has(id) || found.has(uses.producer(id)!));
    if (decided) found.add(node);
  }
  return found;
}
