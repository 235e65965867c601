// Editing a graph: a pass replaces values by new nodes, and gets a frozen, ordered graph back.

import { invariant } from '../support/errors.ts';
import { deepFreeze } from '../support/freeze.ts';
import { makeNode, type Operand } from './build-node.ts';
import type { Graph, Named, Node, Type, ValueId } from './graph.ts';
import { sameType, typeText } from './graph.ts';
import { Uses } from './match.ts';
import type { AttrsOf, Kind } from './ops/index.ts';
import { editOf } from './replaced-region.ts';
import type { Edit, Trail } from './trail.ts';

/** Edits on top of a graph, which itself stays as it is. `uses` shows the graph before the edits; `trail` is told what they make of it. */
export class Rewriter {
  readonly graph: Graph;
  readonly uses: Uses;
  readonly #trail: Trail | undefined;
  readonly #added: Node[] = [];
  readonly #types = new Map<ValueId, Type>();
  readonly #replaced = new Map<ValueId, ValueId>();
  readonly #removed = new Set<Node>();
  readonly #stages = new Map<Node, Node['stage']>();
  readonly #ids: Set<ValueId>;

  constructor(graph: Graph, trail?: Trail) {
    this.graph = graph;
    this.uses = new Uses(graph);
    this.#trail = trail;
    const leaves = [...graph.inputs, ...graph.weights, ...graph.states];
    this.#ids = new Set([...leaves.map((leaf) => leaf.id), ...graph.nodes.flatMap((n) => n.results.map((r) => r.id))]);
  }

  /** Whether any edit was made. */
  get changed(): boolean {
    return this.#added.length + this.#replaced.size + this.#removed.size + this.#stages.size > 0;
  }

  /** A value id not used yet, near to `base`. The same edits give the same ids. */
  freshId(base: string): ValueId {
    let id = base;
    for (let i = 1; this.#ids.has(id); i++) id = `${base}_${i}`;
    this.#ids.add(id);
    return id;
  }

  type(value: ValueId): Type {
    return this.#types.get(value) ?? this.uses.type(value);
  }

  /** What stands in for a value after the replacements so far: the value itself, or its last replacement. */
  current(value: ValueId): ValueId {
    let id = value;
    for (let next = this.#replaced.get(id); next !== undefined; next = this.#replaced.get(id)) id = next;
    return id;
  }

  /**
   * Adds a node and returns the ids of its results. `base` names them (made fresh); `like` is the node it stands in for and gives
   * place and stage. Throws the op's problem: a pass checks before it rewrites.
   */
  add<K extends Kind>(
    kind: K,
    inputs: readonly ValueId[],
    attrs: AttrsOf<K>,
    like: Node,
    base: string = like.results[0]!.id,
  ): ValueId[] {
    const operands: Operand[] = inputs.map((id) => ({ id, type: this.type(id) }));
    const draft = makeNode(kind, operands, attrs, base, { loc: like.loc, stage: like.stage });
    const results = draft.results.map(({ type }) => ({ id: this.freshId(base), type }));
    const node = deepFreeze({ ...draft, results });
    this.#added.push(node);
    for (const { id, type } of results) this.#types.set(id, type);
    return results.map((result) => result.id);
  }

  /** `add` for ops with one result. */
  addOne<K extends Kind>(kind: K, inputs: readonly ValueId[], attrs: AttrsOf<K>, like: Node, base?: string): ValueId {
    const ids = this.add(kind, inputs, attrs, like, base);
    invariant(ids.length === 1, `${kind} has ${ids.length} results`);
    return ids[0]!;
  }

  /** Lets every use of `old`, outputs and taps included, read `by` instead. Both have one type. */
  replaceValue(old: ValueId, by: ValueId): void {
    const [before, after] = [this.type(old), this.type(by)];
    invariant(sameType(before, after), `${old}: ${typeText(before)} replaced by ${by}: ${typeText(after)}`);
    invariant(this.current(by) !== old, `${old} would be replaced by itself`);
    this.#replaced.set(old, by);
  }

  /** Replaces all results of a node, in order, and takes the node out. */
  replaceNode(node: Node, by: readonly ValueId[]): void {
    invariant(by.length === node.results.length, `${node.op} has ${node.results.length} results, ${by.length} given`);
    for (const [i, { id }] of node.results.entries()) this.replaceValue(id, by[i]!);
    this.remove(node);
  }

  /** Takes a node out. Its results may have no users left but taps, which are dropped. */
  remove(node: Node): void {
    this.#removed.add(node);
  }

  setStage(node: Node, stage: Node['stage']): void {
    if (node.stage !== stage) this.#stages.set(node, stage);
  }

  /**
   * The edited graph, or the very same one when nothing changed: operands replaced, nodes nobody reads removed, nodes in
   * topological order (otherwise in the old order, added ones as late as possible), taps of removed values dropped unless
   * the same elements live on in another shape.
   */
  finish(): Graph {
    if (!this.changed) return this.graph;
    const nodes = [...this.graph.nodes.filter((node) => !this.#removed.has(node)), ...this.#added].map((node) => {
      const inputs = node.inputs.map((id) => this.current(id));
      const stage = this.#stages.get(node) ?? node.stage;
      const same = stage === node.stage && inputs.every((id, i) => id === node.inputs[i]);
      return same ? node : { ...node, inputs, stage };
    });
    const move = (entry: Named): Named => ({ name: entry.name, value: this.current(entry.value) });
    const outputs = this.graph.outputs.map(move);
    const leaves = [...this.graph.inputs, ...this.graph.weights, ...this.graph.states];
    const kept = ordered(
      live(nodes, outputs),
      leaves.map((leaf) => leaf.id),
    );
    const defined = new Set([
      ...leaves.map((leaf) => leaf.id),
      ...kept.flatMap((node) => node.results.map((r) => r.id)),
    ]);
    for (const { name, value } of outputs) invariant(defined.has(value), `output ${name} lost its value ${value}`);
    // A tap of a dead reshape holds on to the elements, in whatever shape they live on.
    const producers = new Map(nodes.flatMap((node) => node.results.map(({ id }) => [id, node] as const)));
    const alive = ({ name, value }: Named): Named => {
      const reshape = defined.has(value) ? undefined : producers.get(value);
      return reshape?.op === 'reshape' ? alive({ name, value: reshape.inputs[0]! }) : { name, value };
    };
    const taps = this.graph.taps.map((tap) => alive(move(tap))).filter((tap) => defined.has(tap.value));
    const result = deepFreeze({ ...this.graph, nodes: kept, outputs, taps });
    this.#trail?.follow(this.graph, result, this.#edit(result));
    return result;
  }

  #edit(result: Graph): Edit {
    const { graph, uses } = this;
    return editOf({ graph, uses, added: this.#added, replaced: this.#replaced, result });
  }
}

/** Nodes that outputs depend on, in their order. A state is read by the one node that updates it, so it keeps nothing else alive. */
export function live(nodes: readonly Node[], outputs: readonly Named[]): Node[] {
  const producers = new Map(nodes.flatMap((node) => node.results.map((result) => [result.id, node] as const)));
  const reached = new Set<Node>();
  const queue = outputs.map((output) => output.value);
  for (let id = queue.pop(); id !== undefined; id = queue.pop()) {
    const node = producers.get(id);
    if (node === undefined || reached.has(node)) continue;
    reached.add(node);
    queue.push(...node.inputs);
  }
  return nodes.filter((node) => reached.has(node));
}

/**
 * Nodes in topological order: prepare nodes first, then in the given order, each added or displaced node just before the first node
 * that needs it.
 */
export function ordered(nodes: readonly Node[], leaves: readonly ValueId[]): Node[] {
  const producers = new Map(nodes.flatMap((node) => node.results.map((result) => [result.id, node] as const)));
  const known = new Set(leaves);
  const placed = new Set<Node>();
  const open = new Set<Node>();
  const result: Node[] = [];
  const place = (node: Node): void => {
    if (placed.has(node)) return;
    invariant(!open.has(node), `nodes depend on each other around ${node.results[0]?.id}`);
    open.add(node);
    for (const id of node.inputs) {
      const producer = producers.get(id);
      if (producer) place(producer);
      else invariant(known.has(id), `operand ${id} of ${node.results[0]?.id} is not defined`);
    }
    open.delete(node);
    placed.add(node);
    result.push(node);
  };
  for (const node of nodes) if (node.stage === 'prepare') place(node);
  for (const node of nodes) place(node);
  return result;
}
