// Writing products down as nodes: values brought into a wanted order of atoms, and einsums over atoms.

import type { Dim, Node, ValueId } from '../ir/graph.ts';
import { sameShape } from '../ir/graph.ts';
import type { Rewriter } from '../ir/index.ts';
import { invariant } from '../support/errors.ts';
import { type Atom, type Axes, dimOf, has, sameOrder, sameSet, type ValueFactor } from './product.ts';

/** Where new nodes belong: the rewriter that collects them, and the node whose place and stage they take. */
export interface Site {
  readonly rewriter: Rewriter;
  readonly like: Node;
}

/** Shape of axes; undefined where a symbol would merge with another dim. */
export function shapeOfAxes(axes: Axes): Dim[] | undefined {
  const dims = axes.map(dimOf);
  return dims.every((dim) => dim !== undefined) ? dims : undefined;
}

/** Whether `arrange` can bring a value with `axes` into `wanted`: the same atoms, and no merging of symbols. */
export const canArrange = (axes: Axes, wanted: Axes): boolean =>
  sameSet(axes.flat(), wanted.flat()) && shapeOfAxes(wanted) !== undefined;

/** The value in another shape; the value itself where it has that shape. */
export const reshaped = ({ rewriter, like }: Site, value: ValueId, shape: readonly Dim[]): ValueId =>
  sameShape(rewriter.type(value).shape, shape) ? value : rewriter.addOne('reshape', [value], { shape }, like, 'view');

/** The value with its axes as wanted, through as few reshapes and transposes as it takes. */
export function arrange(site: Site, value: ValueId, axes: Axes, wanted: Axes): ValueId {
  const [from, to] = [axes.flat(), wanted.flat()];
  const shape = shapeOfAxes(wanted);
  invariant(sameSet(from, to) && shape, `${value} cannot be arranged as wanted`);
  if (sameOrder(from, to)) return reshaped(site, value, shape);
  const perm = to.map((atom) => from.findIndex(({ id }) => id === atom.id));
  const flat = reshaped(
    site,
    value,
    from.map((atom) => atom.size),
  );
  return reshaped(site, site.rewriter.addOne('transpose', [flat], { perm }, site.like, 'view'), shape);
}

/** One axis per atom. */
export const apart = (atoms: readonly Atom[]): Axes => atoms.map((atom) => [atom]);

/** a·b summed over all atoms not in `out`, with axes as in `out`. */
export function multiplied(site: Site, a: ValueFactor, b: ValueFactor, out: Axes, base = 'product'): ValueId {
  const [left, right] = [apart(a.axes.flat()), apart(b.axes.flat())];
  const label = labeller();
  const text = (axes: Axes): string => axes.flat().map(label).join('');
  const equation = `${text(left)},${text(right)}->${text(out)}`;
  const operands = [arrange(site, a.value, a.axes, left), arrange(site, b.value, b.axes, right)];
  const product = site.rewriter.addOne('einsum', operands, { equation }, site.like, base);
  return arrange(site, product, apart(out.flat()), out);
}

/** source with its `picked` atoms replaced by those of the index, as a value with one axis per atom of `out`. */
export function picked(
  site: Site,
  source: ValueFactor,
  pick: { readonly value: ValueId; readonly axes: Axes; readonly picked: readonly Atom[] },
  out: readonly Atom[],
): ValueId {
  const label = labeller();
  const along = pick.picked.map((atom) => atom.id);
  const rest = source.axes.flat().filter((atom) => !along.includes(atom.id));
  // The picked axis goes where its first atom stands, so that a source that is in order needs no transpose.
  const sourceAxes: Axes = source.axes
    .flat()
    .filter((atom) => has(rest, atom) || atom.id === along[0])
    .map((atom) => (atom.id === along[0] ? pick.picked : [atom]));
  const indexAxes = apart(pick.axes.flat());
  const text = (axes: Axes): string => axes.map((axis) => label(axis[0]!)).join('');
  const equation = `${text(sourceAxes)},${text(indexAxes)}->${out.map(label).join('')}`;
  const from = arrange(site, source.value, source.axes, sourceAxes);
  const index = arrange(site, pick.value, pick.axes, indexAxes);
  return site.rewriter.addOne('gather', [from, index], { equation }, site.like, 'rows');
}

/** The element-wise product of factors that only depend on atoms of `axes`, with axes as given; at least one spans them all. */
export function scaled(site: Site, factors: readonly ValueFactor[], axes: Axes): ValueId {
  const [first, ...rest] = factors.map((factor) => {
    const own = factor.axes.flat();
    const wanted = axes.map((axis) => axis.filter((atom) => has(own, atom)));
    return arrange(site, factor.value, factor.axes, wanted);
  });
  invariant(first !== undefined, 'a product of nothing');
  return rest.reduce((a, b) => site.rewriter.addOne('binary', [a, b], { fn: 'mul' }, site.like, 'weights'), first);
}

/** Letters for atoms, in the order they are asked for. */
function labeller(): (atom: Atom) => string {
  const labels = new Map<number, string>();
  return ({ id }) => {
    const known = labels.get(id);
    if (known !== undefined) return known;
    const letter = String.fromCharCode(97 + labels.size);
    invariant(labels.size < 26, 'a product of more than 26 axes');
    labels.set(id, letter);
    return letter;
  };
}
