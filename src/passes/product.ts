// A value seen as one sum of products: Σ over index variables of factors, whatever chain of einsum, mul, sum, gather, group_sum,
// transpose and reshape computes it. Rules match this form, so they do not care how a model spelled the product.

import type { Dim, Node, Type, ValueId } from '../ir/graph.ts';
import type { Uses } from '../ir/index.ts';
import { matches } from '../ir/index.ts';
import { parseEquation } from '../ir/labels.ts';
import { isProblem } from '../ir/op.ts';
import { invariant } from '../support/errors.ts';

/** An index variable. Size-1 axes have none. */
export interface Atom {
  readonly id: number;
  readonly size: Dim;
}

/** Per axis of a value its atoms, outer first: `[t] [h,m] []` is an axis t, one that merges h and m, and one of size 1. */
export type Axes = readonly (readonly Atom[])[];

/** A value indexed by atoms. */
export interface ValueFactor {
  readonly kind: 'value';
  readonly value: ValueId;
  readonly axes: Axes;
}

/** 1 where index[axes] equals the number that `picked` spells in row-major order, else 0: what gather and group_sum multiply by. */
export interface PickFactor {
  readonly kind: 'pick';
  readonly value: ValueId;
  readonly axes: Axes;
  readonly picked: readonly Atom[];
  /** Whether it picks from a source, or collects into groups. */
  readonly by: 'gather' | 'group_sum';
}

export type Factor = ValueFactor | PickFactor;

/** result[out] = Σ over all atoms not in out of the product of the factors. */
export interface Product {
  readonly factors: readonly Factor[];
  readonly out: Axes;
}

/** Atoms that a factor depends on. */
export const atomsOf = (factor: Factor): readonly Atom[] =>
  factor.kind === 'pick' ? [...factor.axes.flat(), ...factor.picked] : factor.axes.flat();

export const has = (atoms: readonly Atom[], atom: Atom): boolean => atoms.some((other) => other.id === atom.id);
export const without = (atoms: readonly Atom[], drop: readonly Atom[]): Atom[] => atoms.filter((a) => !has(drop, a));
export const within = (atoms: readonly Atom[], keep: readonly Atom[]): Atom[] => atoms.filter((a) => has(keep, a));
export const sameOrder = (a: readonly Atom[], b: readonly Atom[]): boolean =>
  a.length === b.length && a.every((atom, i) => atom.id === b[i]!.id);
export const sameSet = (a: readonly Atom[], b: readonly Atom[]): boolean =>
  a.length === b.length && a.every((atom) => has(b, atom));

/** Elements that atoms span, symbols counted as 1. */
export const spanOf = (atoms: readonly Atom[]): number =>
  atoms.reduce((n, { size }) => n * (typeof size === 'number' ? size : 1), 1);

/** The dim that merged atoms make; undefined where a symbol would have to merge with something. */
export function dimOf(atoms: readonly Atom[]): Dim | undefined {
  if (atoms.length === 1) return atoms[0]!.size;
  return atoms.every(({ size }) => typeof size === 'number') ? spanOf(atoms) : undefined;
}

/** Makes atoms of one search; ids only need to differ within it. */
class AtomSource {
  #next = 0;
  readonly make = (size: Dim): Atom[] => (size === 1 ? [] : [{ id: this.#next++, size }]);
}

/**
 * Searches the ways to take a value apart, the coarsest first, for one that `accept` turns into something. Step values are taken
 * apart node by node; constants stay whole; views never stand in the way.
 */
export function findProduct<R>(uses: Uses, root: ValueId, accept: (product: Product) => R | undefined): R | undefined {
  const atoms = new AtomSource();
  const axes = uses.type(root).shape.map((dim) => atoms.make(dim));
  const start: Product = { factors: [{ kind: 'value', value: root, axes }], out: axes };
  const queue = [throughViews(uses, start, atoms)];
  const seen = new Set<string>();
  // A retrieval takes a dozen ways; the limit only guards against graphs that are products of many products.
  for (let i = 0; i < queue.length && i < 128; i++) {
    const product = queue[i]!;
    const found = accept(product);
    if (found !== undefined) return found;
    for (const [at, factor] of product.factors.entries()) {
      if (factor.kind === 'pick' || uses.isConstant(factor.value)) continue;
      const expanded = expand(uses, product, at, atoms);
      if (expanded === undefined) continue;
      const next = withoutEmptyPicks(throughViews(uses, expanded, atoms));
      const key = next.factors
        .map(({ value }) => value)
        .sort()
        .join(' ');
      if (!seen.has(key)) queue.push(next);
      seen.add(key);
    }
  }
  return undefined;
}

/** Whether the products that make up a node's result have no other readers: else taking it apart would compute them twice. */
export function readOnce(uses: Uses, node: Node): boolean {
  return node.inputs.every((id) => {
    const maker = uses.producer(id);
    if (
      maker === undefined ||
      uses.isConstant(id) ||
      !['einsum', 'reshape', 'transpose', 'binary', 'reduce'].includes(maker.op)
    )
      return true;
    if (uses.singleUser(id) === undefined) return false;
    return maker.op === 'einsum' || readOnce(uses, maker);
  });
}

/** The product with every step factor that is a transpose or reshape replaced by what it views. */
function throughViews(uses: Uses, product: Product, atoms: AtomSource): Product {
  for (;;) {
    const at = product.factors.findIndex(
      ({ kind, value }) =>
        kind === 'value' &&
        !uses.isConstant(value) &&
        ['transpose', 'reshape'].includes(uses.producer(value)?.op ?? ''),
    );
    const expanded = at < 0 ? undefined : expand(uses, product, at, atoms);
    if (expanded === undefined) return product;
    product = expanded;
  }
}

/** Picks that say nothing: an index is always in range, so Σ over all values of a pick is 1. */
function withoutEmptyPicks(product: Product): Product {
  const factors = product.factors.filter((factor, i) => {
    if (factor.kind !== 'pick') return true;
    const others = product.factors.filter((_, j) => j !== i).flatMap(atomsOf);
    return factor.picked.some((atom) => has([...product.out.flat(), ...others], atom));
  });
  return factors.length === product.factors.length ? product : { ...product, factors };
}

/** The product with factor `at` replaced by the factors of the node that makes it; undefined where that is no product. */
function expand(uses: Uses, product: Product, at: number, atoms: AtomSource): Product | undefined {
  const factor = product.factors[at]!;
  const node = uses.producer(factor.value);
  if (node === undefined || factor.kind === 'pick') return undefined;
  const inner = factorsOf(uses, node, factor.axes, atoms);
  if (inner === undefined) return undefined;
  const { factors, splits } = inner;
  const all = product.factors.toSpliced(at, 1, ...factors);
  return splits.size === 0 ? { ...product, factors: all } : split({ ...product, factors: all }, splits);
}

/** Atoms that a reshape found to be made of smaller ones. */
type Splits = ReadonlyMap<number, readonly Atom[]>;

interface Inner {
  readonly factors: readonly Factor[];
  readonly splits: Splits;
}

const whole = (factors: readonly Factor[]): Inner => ({ factors, splits: new Map() });
const valueFactor = (value: ValueId, axes: Axes): ValueFactor => ({ kind: 'value', value, axes });

/** The factors of one node's result, which has the given axes. */
function factorsOf(uses: Uses, node: Node, axes: Axes, atoms: AtomSource): Inner | undefined {
  const type = (i: number): Type => uses.type(node.inputs[i]!);
  const [first, second] = node.inputs as [ValueId, ValueId];
  const transposed = matches(node, 'transpose');
  if (transposed) {
    const { perm } = transposed.attrs;
    return whole([
      valueFactor(
        first,
        perm.map((_, axis) => axes[perm.indexOf(axis)]!),
      ),
    ]);
  }
  if (node.op === 'reshape') return regroup(first, axes, type(0).shape, atoms);
  const einsum = matches(node, 'einsum');
  if (einsum) {
    const { a, b, out } = equationOf('einsum', einsum.attrs.equation);
    const labels = labelled(out, axes);
    const of = (names: string, i: number): Axes =>
      [...names].map((label, axis) => labels.get(label) ?? define(labels, label, atoms.make(type(i).shape[axis]!)));
    return whole([valueFactor(first, of(a, 0)), valueFactor(second, of(b, 1))]);
  }
  if (matches(node, 'binary', { fn: 'mul' }) && type(0).dtype === 'f32') {
    const stretched = (i: number): Axes => {
      const { shape } = type(i);
      return shape.map((dim, axis) => (dim === 1 ? [] : axes[axes.length - shape.length + axis]!));
    };
    return whole([valueFactor(first, stretched(0)), valueFactor(second, stretched(1))]);
  }
  const sum = matches(node, 'reduce', { fn: 'sum' });
  if (sum) {
    const { axis } = sum.attrs;
    return whole([valueFactor(first, axes.toSpliced(axis, 0, atoms.make(type(0).shape[axis]!)))]);
  }
  const gather = matches(node, 'gather');
  if (gather && type(0).dtype === 'f32') {
    const { a: source, b: index, out } = equationOf('gather', gather.attrs.equation);
    const labels = labelled(out, axes);
    const axis = [...source].findIndex((label) => !out.includes(label));
    const picked = atoms.make(type(0).shape[axis]!);
    const indexAxes = [...index].map((label) => labels.get(label)!);
    const sourceAxes = [...source].map((label) => labels.get(label) ?? picked);
    return whole([
      valueFactor(first, sourceAxes),
      { kind: 'pick', value: second, axes: indexAxes, picked, by: 'gather' },
    ]);
  }
  if (node.op === 'group_sum') {
    const [tokens, picked] = axes as [readonly Atom[], readonly Atom[]];
    const rows = atoms.make(type(0).shape[1]!);
    const x = valueFactor(first, [tokens, rows, ...axes.slice(2)]);
    return whole([x, { kind: 'pick', value: second, axes: [tokens, rows], picked, by: 'group_sum' }]);
  }
  return undefined;
}

function equationOf(kind: string, text: string) {
  const parsed = parseEquation(kind, text);
  invariant(!isProblem(parsed), `unverified ${kind} ${text}`);
  return parsed;
}

const labelled = (out: string, axes: Axes): Map<string, readonly Atom[]> =>
  new Map([...out].map((label, i) => [label, axes[i]!]));

function define<K, V>(map: Map<K, V>, key: K, value: V): V {
  map.set(key, value);
  return value;
}

/** Axes of a reshape's operand, from those of its result; atoms that straddle an axis of the operand are split. */
function regroup(value: ValueId, axes: Axes, shape: readonly Dim[], atoms: AtomSource): Inner | undefined {
  const rest = [...axes.flat()];
  const splits = new Map<number, Atom[]>();
  const groups: Atom[][] = [];
  for (const dim of shape) {
    const group: Atom[] = [];
    groups.push(group);
    for (let open: Dim = dim; open !== 1; ) {
      const atom = rest.shift();
      if (atom === undefined) return undefined;
      if (atom.size === open) {
        group.push(atom);
        open = 1;
      } else if (typeof open !== 'number' || typeof atom.size !== 'number') {
        return undefined;
      } else if (open % atom.size === 0) {
        group.push(atom);
        open /= atom.size;
      } else if (atom.size % open === 0) {
        const [outer, inner] = [...atoms.make(open), ...atoms.make(atom.size / open)] as [Atom, Atom];
        splits.set(atom.id, [outer, inner]);
        group.push(outer);
        rest.unshift(inner);
        open = 1;
      } else {
        return undefined;
      }
    }
  }
  if (rest.length > 0) return undefined;
  return {
    factors: [
      valueFactor(
        value,
        groups.map((group) => refine(group, splits)),
      ),
    ],
    splits,
  };
}

/** Atoms with those that were split replaced by their pieces, to the smallest. */
const refine = (atoms: readonly Atom[], splits: Splits): readonly Atom[] =>
  atoms.flatMap((atom) => (splits.has(atom.id) ? refine(splits.get(atom.id)!, splits) : [atom]));

function split({ factors, out }: Product, splits: Splits): Product {
  const refined = (axes: Axes): Axes => axes.map((axis) => refine(axis, splits));
  return {
    out: refined(out),
    factors: factors.map((factor) =>
      factor.kind === 'pick'
        ? { ...factor, axes: refined(factor.axes), picked: refine(factor.picked, splits) }
        : { ...factor, axes: refined(factor.axes) },
    ),
  };
}
