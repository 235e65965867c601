// Takes out what computes nothing: x·1, a reshape of a reshape, a whole slice, a sum over one element; and arithmetic on constants.
// Needs nothing. After it no node returns an operand as it is, and views of views are one view.
// Early, so that rules see fewer spellings; again after fusion, which arranges operands by reshapes that often cancel.

import type { Dim, Graph, Node, ValueId } from '../ir/graph.ts';
import { sameShape } from '../ir/graph.ts';
import { type AttrsOf, matches } from '../ir/index.ts';
import { binaryFunctions, integerFunctions, unaryFunctions } from '../ir/scalar-functions.ts';
import type { Trail } from '../ir/trail.ts';
import { reshaped } from './arrange.ts';
import { exclusiveBound } from './index-range.ts';
import { type Here, idLike, type Rule, sweep } from './sweep.ts';

export const foldConstants = (graph: Graph, trail?: Trail): Graph => sweep(graph, rules, trail);

/** A view by a node of another kind. */
const by = (here: Here, node: Node, value: ValueId | undefined): boolean => {
  if (value === undefined) return false;
  here.rewriter.replaceNode(node, [value]);
  return true;
};

const shapeOf = (here: Here, value: ValueId): readonly Dim[] => here.uses.type(value).shape;

const reshape: Rule = (node, here) => {
  const view = matches(node, 'reshape');
  if (!view) return false;
  const [x] = view.inputs as [ValueId];
  const shape = node.results[0]!.type.shape;
  if (sameShape(shapeOf(here, x), shape)) return by(here, node, x); // reshape to the same shape → x
  const inner = here.uses.made(x, 'reshape');
  return by(here, node, inner && reshaped(here, inner.inputs[0]!, shape)); // reshape of reshape → reshape
};

const transpose: Rule = (node, here) => {
  const view = matches(node, 'transpose');
  if (!view) return false;
  const [x] = view.inputs as [ValueId];
  const { perm } = view.attrs;
  const wide = perm.filter((axis) => shapeOf(here, x)[axis] !== 1);
  if (wide.every((axis, i) => i === 0 || axis > wide[i - 1]!)) {
    return by(here, node, reshaped(here, x, node.results[0]!.type.shape)); // only axes of size 1 move → reshape
  }
  const inner = here.uses.made(x, 'transpose');
  if (!inner) return false;
  const both = perm.map((axis) => inner.attrs.perm[axis]!);
  return by(here, node, here.rewriter.addOne('transpose', inner.inputs, { perm: both }, node)); // transpose of transpose → one
};

const slice: Rule = (node, here) => {
  const view = matches(node, 'slice');
  if (!view) return false;
  const [x] = view.inputs as [ValueId];
  const { axis, start, end } = view.attrs;
  if (end - start === shapeOf(here, x)[axis]) return by(here, node, x); // the whole axis → x
  const inner = here.uses.made(x, 'slice');
  if (inner?.attrs.axis === axis) {
    const attrs = { axis, start: inner.attrs.start + start, end: inner.attrs.start + end };
    return by(here, node, here.rewriter.addOne('slice', inner.inputs, attrs, node)); // slice of slice → one
  }
  const parts = here.uses.made(x, 'concat', { axis });
  if (!parts) return false;
  let from = 0;
  for (const part of parts.inputs) {
    const size = shapeOf(here, part)[axis] as number;
    if (start === from && end === from + size) return by(here, node, part); // a part of a concat → the part
    from += size;
  }
  return false;
};

const concat: Rule = (node, here) => {
  const joined = matches(node, 'concat');
  if (!joined) return false;
  const { axis } = joined.attrs;
  if (joined.inputs.length === 1) return by(here, node, joined.inputs[0]); // of one part → the part
  const slices = joined.inputs.map((id) => here.uses.made(id, 'slice', { axis }));
  const source = slices[0]?.inputs[0];
  const adjacent = slices.every(
    (part, i) => part?.inputs[0] === source && part?.attrs.start === (slices[i - 1]?.attrs.end ?? 0),
  );
  if (source === undefined || !adjacent || slices.at(-1)!.attrs.end !== shapeOf(here, source)[axis]) return false;
  return by(here, node, source); // all slices of x, in order → x
};

const cast: Rule = (node, here) => {
  const same = matches(node, 'cast') && here.uses.type(node.inputs[0]!).dtype === node.results[0]!.type.dtype;
  return same ? by(here, node, node.inputs[0]) : false; // to the same element type → x
};

const reduce: Rule = (node, here) => {
  const sum = matches(node, 'reduce');
  if (!sum || shapeOf(here, node.inputs[0]!)[sum.attrs.axis] !== 1) return false;
  return by(here, node, reshaped(here, node.inputs[0]!, node.results[0]!.type.shape)); // over one element → reshape
};

const groupSum: Rule = (node, here) => {
  if (!matches(node, 'group_sum', { groups: 1 })) return false;
  const sum = here.rewriter.addOne('reduce', [node.inputs[0]!], { fn: 'sum', axis: 1 }, node);
  return by(here, node, reshaped(here, sum, node.results[0]!.type.shape)); // one group → sum
};

/** Right operands that change nothing, by function; the left one too where the function is symmetric. */
const neutral: Readonly<Record<string, number>> = { mul: 1, div: 1, idiv: 1, add: 0, sub: 0 };

const binary: Rule = (node, here) => {
  const call = matches(node, 'binary');
  if (!call) return false;
  const { fn } = call.attrs;
  const [a, b] = call.inputs.map((id) => here.uses.constantValue(id));
  if (a !== undefined && b !== undefined) {
    const { dtype } = node.results[0]!.type;
    const exact = { ...binaryFunctions, ...integerFunctions }[fn](a, b);
    const value = dtype === 'i32' ? (fn === 'mul' ? Math.imul(a, b) : exact | 0) : Math.fround(exact);
    return by(here, node, constant(here, node, value, dtype as 'f32' | 'i32')); // of two constants → constant
  }
  const same = (id: ValueId): boolean => sameShape(shapeOf(here, id), node.results[0]!.type.shape);
  if (b === neutral[fn] && b !== undefined && same(node.inputs[0]!)) return by(here, node, node.inputs[0]); // x·1, x+0, x/1 … → x
  const bound = fn === 'imod' && b !== undefined ? exclusiveBound(here.uses, node.inputs[0]!) : undefined;
  if (bound !== undefined && bound <= b!) return by(here, node, node.inputs[0]); // x mod c, all x below c → x
  const symmetric = fn === 'mul' || fn === 'add';
  if (symmetric && a === neutral[fn] && same(node.inputs[1]!)) return by(here, node, node.inputs[1]); // 1·x, 0+x → x
  return false;
};

const unary: Rule = (node, here) => {
  const call = matches(node, 'unary');
  const value = call && here.uses.constantValue(call.inputs[0]!);
  if (!call || value === undefined) return false;
  return by(here, node, constant(here, node, Math.fround(unaryFunctions[call.attrs.fn](value)), 'f32')); // of a constant → constant
};

function constant(here: Here, node: Node, value: number, dtype: 'f32' | 'i32'): ValueId | undefined {
  const attrs: AttrsOf<'constant'> = { value, dtype };
  return Number.isFinite(value)
    ? here.rewriter.addOne('constant', [], attrs, node, idLike('constant', node))
    : undefined;
}

const rules: readonly Rule[] = [reshape, transpose, slice, concat, cast, reduce, groupSum, binary, unary];
