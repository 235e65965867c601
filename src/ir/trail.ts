// The trail of a chain of rewrites: which nodes of the graph that it began with each node of the present one computes, be it alone
// or together with others, and what became of the rest.

import { invariant } from '../support/errors.ts';
import type { Graph, Node, ValueId } from './graph.ts';

/** What one rewrite made of the nodes of a graph. Nodes that it left in place, whatever their operands, need no mention. */
export interface Edit {
  /** Per node of the new graph, by its first result: the nodes of the old graph that it stands for. */
  readonly stands: ReadonlyMap<ValueId, ReadonlySet<Node>>;
  /** Nodes of the old graph whose value another value was found to be, by that value. */
  readonly same: ReadonlyMap<Node, ValueId>;
}

/** An edit that takes nodes out, or adds some that stand for none. */
export const bareEdit: Edit = { stands: new Map(), same: new Map() };

/** Why no node of the present graph computes a node of the first. */
export type Removal =
  /** No output depends on it, be it from the start or since others were rewritten. */
  | { readonly why: 'unused' }
  /** Its value is that of another: computed twice, or changed in nothing. */
  | { readonly why: 'same'; readonly as: ValueId };

/** Where a node of the present graph comes from. */
export interface Origin {
  /** The nodes of the first graph that it computes, alone or with others; none for what a pass put in between. */
  readonly sources: ReadonlySet<Node>;
  /** The passes that made it, in order; none where it is as it was in the first graph. */
  readonly passes: readonly string[];
}

const nowhere: Origin = { sources: new Set(), passes: [] };

/**
 * Follows rewrites from a first graph on. Whoever makes one graph of another tells it, in order; a graph that it was not told of
 * is a bug, so that no rewrite goes missing.
 */
export class Trail {
  readonly first: Graph;
  #graph: Graph;
  #pass = '';
  #origins: ReadonlyMap<ValueId, Origin>;
  readonly #removals = new Map<Node, Removal>();

  constructor(first: Graph) {
    this.first = first;
    this.#graph = first;
    this.#origins = new Map(first.nodes.map((node) => [idOf(node), { sources: new Set([node]), passes: [] }]));
  }

  /** The graph that it has followed to. */
  get graph(): Graph {
    return this.#graph;
  }

  /** Rewrites from here on belong to this pass. */
  enter(pass: string): void {
    this.#pass = pass;
  }

  /** Takes note that the graph it has followed to became another. */
  follow(from: Graph, to: Graph, { stands, same }: Edit): void {
    invariant(from === this.#graph, `the trail of ${this.first.name} lacks a rewrite before or in ${this.#pass}`);
    const origins = new Map(
      to.nodes.map((node) => {
        const id = idOf(node);
        const kept = stands.has(id) ? undefined : this.#origins.get(id);
        return [id, kept ?? this.#joined(stands.get(id) ?? [])] as const;
      }),
    );
    this.#noteRemovals(from, origins, same);
    this.#graph = to;
    this.#origins = origins;
  }

  /** Where a node of the present graph, named by its first result, comes from. */
  originOf(id: ValueId): Origin {
    return this.#origins.get(id) ?? nowhere;
  }

  /** What became of a node of the first graph that no node of the present one computes; undefined for one that some do. */
  removalOf(node: Node): Removal | undefined {
    return this.#removals.get(node);
  }

  /** The origin of a node that stands for several. */
  #joined(nodes: Iterable<Node>): Origin {
    const all = [...nodes].map((node) => this.originOf(idOf(node)));
    return {
      sources: new Set(all.flatMap(({ sources }) => [...sources])),
      passes: [...new Set([...all.flatMap(({ passes }) => passes), this.#pass])],
    };
  }

  /** Nodes of the first graph that have just lost the last node that computed them. */
  #noteRemovals(from: Graph, origins: ReadonlyMap<ValueId, Origin>, same: Edit['same']): void {
    const alive = new Set([...origins.values()].flatMap(({ sources }) => [...sources]));
    for (const node of from.nodes) {
      const as = same.get(node);
      for (const source of this.originOf(idOf(node)).sources) {
        if (alive.has(source) || (this.#removals.has(source) && as === undefined)) continue;
        this.#removals.set(source, as === undefined ? { why: 'unused' } : { why: 'same', as: this.#firstName(as) });
      }
    }
  }

  /** A value by its name in the first graph; of one that a pass made, the name of the last node that its maker stands for. */
  #firstName(id: ValueId): ValueId {
    const maker = this.#graph.nodes.find(({ results }) => results.some((result) => result.id === id));
    const sources = maker === undefined ? undefined : this.originOf(idOf(maker)).sources;
    const own = this.first.nodes.filter((node) => sources?.has(node));
    const last = own.at(-1);
    return last === undefined || own.some(({ results }) => results.some((result) => result.id === id))
      ? id
      : idOf(last);
  }
}

/** Nodes are told apart by their first result, which a rewrite of their operands leaves as it is. */
const idOf = (node: Node): ValueId => node.results[0]!.id;
