// What an op is: one record per kind with its attributes, shape rule, cost and reference. The table is ops/index.ts.

import { dtypeBytes } from '../support/dtype.ts';
import { invariant } from '../support/errors.ts';
import { didYouMean } from '../support/suggest.ts';
import type { Tensor } from '../support/tensor.ts';
import type { Attrs, Dim, Type } from './graph.ts';

/** Sizes of the symbols of a graph for one run. */
export type Symbols = Readonly<Record<string, number>>;

/** Why an op does not accept its operands; becomes a diagnostic at the user's call. */
export interface Problem {
  readonly code:
    | 'wrong-input-count'
    | 'wrong-dtype'
    | 'wrong-rank'
    | 'wrong-shape'
    | 'bad-attribute'
    | 'unknown-attribute'
    | 'bad-equation';
  readonly message: string;
  readonly got?: string | undefined;
  readonly wanted?: string | undefined;
  readonly hint?: string | undefined;
  /** The operand at fault, where one is. */
  readonly input?: number | undefined;
}

export const isProblem = (value: unknown): value is Problem =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && 'code' in value && 'message' in value;

/** Check of one attribute: `accepts` says whether a value fits, `wanted` says in words what does. */
export interface AttrCheck<T> {
  readonly wanted: string;
  readonly accepts: (value: unknown) => value is T;
}

type AttrChecks = Readonly<Record<string, AttrCheck<unknown>>>;

/** Attribute values that a set of checks lets through. */
export type AttrsFor<C extends AttrChecks> = { readonly [N in keyof C]: C[N] extends AttrCheck<infer T> ? T : never };

/** Work of one application: floating point operations, and bytes read and written once each. */
export interface Cost {
  readonly flops: number;
  readonly bytes: number;
}

/** What is the same for every op; `A` are its attributes. */
export interface Op<K extends string = string, A = Attrs> {
  readonly kind: K;
  /** Operand names in order; `?` marks a trailing optional one, `...` a list that ends the operands, `!` a state updated in place. */
  readonly inputs: readonly string[];
  readonly attrs: AttrChecks;
  /** Checks attributes, operand count, element types and shapes; the result types, or the first problem. Never throws. */
  infer(types: readonly Type[], attrs: Attrs): readonly Type[] | Problem;
  /** Work for operands that `infer` accepts. */
  cost(types: readonly Type[], attrs: Attrs, symbols: Symbols): Cost;
  /** The reference: slow and obvious; accumulates in f64, stores in the result's dtype. State operands are updated in place. */
  run(tensors: readonly Tensor[], attrs: Attrs, symbols: Symbols): readonly Tensor[];
  /** Carries the attribute types. */
  readonly attrsType?: A;
}

interface OpSpec<K extends string, C extends AttrChecks> {
  readonly kind: K;
  readonly inputs: readonly string[];
  readonly attrs: C;
  infer(types: readonly Type[], attrs: AttrsFor<C>): readonly Type[] | Problem;
  /** Floating point operations; `count` gives the number of elements of a shape. */
  flops(work: Work<AttrsFor<C>>): number;
  /** Bytes moved, where that is not every operand and result once. */
  bytes?(work: Work<AttrsFor<C>>): number;
  run(tensors: readonly Tensor[], attrs: AttrsFor<C>, symbols: Symbols): readonly Tensor[];
}

/** Operands and results of a cost question. */
export interface Work<A> {
  readonly inputs: readonly Type[];
  readonly results: readonly Type[];
  readonly attrs: A;
  readonly count: (type: Type | undefined) => number;
  readonly bytes: (type: Type | undefined) => number;
  readonly size: (dim: Dim | undefined) => number;
}

/** The size of a dim. */
export function sizeOf(dim: Dim, symbols: Symbols): number {
  if (typeof dim === 'number') return dim;
  const size = symbols[dim];
  invariant(size !== undefined, `symbol ${dim} has no size`);
  return size;
}

export const countOf = (shape: readonly Dim[], symbols: Symbols): number =>
  shape.reduce<number>((n, d) => n * sizeOf(d, symbols), 1);

export const bytesOf = (type: Type, symbols: Symbols): number => countOf(type.shape, symbols) * dtypeBytes[type.dtype];

/** Defines an op. Adds to the given shape rule what all ops share: attribute and operand count checks. */
export function op<const K extends string, C extends AttrChecks>(spec: OpSpec<K, C>): Op<K, AttrsFor<C>> {
  const infer = (types: readonly Type[], attrs: Attrs): readonly Type[] | Problem =>
    checkAttrs(spec.kind, spec.attrs, attrs) ??
    checkCount(spec.kind, spec.inputs, types.length) ??
    spec.infer(types, attrs as AttrsFor<C>);
  return Object.freeze({
    kind: spec.kind,
    inputs: spec.inputs,
    attrs: spec.attrs,
    infer,
    cost(types: readonly Type[], attrs: Attrs, symbols: Symbols): Cost {
      const results = infer(types, attrs);
      invariant(!isProblem(results), `${spec.kind}: cost of operands it does not accept`);
      const work: Work<AttrsFor<C>> = {
        inputs: types,
        results,
        attrs: attrs as AttrsFor<C>,
        count: (type) => (type === undefined ? 0 : countOf(type.shape, symbols)),
        bytes: (type) => (type === undefined ? 0 : bytesOf(type, symbols)),
        size: (dim) => (dim === undefined ? 1 : sizeOf(dim, symbols)),
      };
      const everyByteOnce = () => [...types, ...results].reduce((n, type) => n + bytesOf(type, symbols), 0);
      return { flops: spec.flops(work), bytes: spec.bytes?.(work) ?? everyByteOnce() };
    },
    run: (tensors: readonly Tensor[], attrs: Attrs, symbols: Symbols) =>
      spec.run(tensors, attrs as AttrsFor<C>, symbols),
  });
}

/** Operand indices of an op that are states. */
export const stateOperands = (inputs: readonly string[]): readonly number[] =>
  inputs.flatMap((name, i) => (name.endsWith('!') ? [i] : []));

function checkAttrs(kind: string, checks: AttrChecks, attrs: Attrs): Problem | undefined {
  const names = Object.keys(checks);
  for (const name of Object.keys(attrs)) {
    if (names.includes(name)) continue;
    const known = names.length > 0 ? `${kind} has: ${names.join(', ')}.` : `${kind} has none.`;
    const message = `${kind} has no attribute "${name}"`;
    return { code: 'unknown-attribute', message, hint: `${known}${didYouMean(name, names)}` };
  }
  for (const [name, check] of Object.entries(checks)) {
    if (check.accepts(attrs[name])) continue;
    const message = attrs[name] === undefined ? `${kind} lacks its attribute "${name}"` : `${kind}: bad "${name}"`;
    const got = attrs[name] === undefined ? 'nothing' : JSON.stringify(attrs[name]);
    return { code: 'bad-attribute', message, got, wanted: check.wanted };
  }
  return undefined;
}

function checkCount(kind: string, inputs: readonly string[], count: number): Problem | undefined {
  const variadic = inputs.some((name) => name.startsWith('...'));
  const least = inputs.filter((name) => !name.endsWith('?') && !name.startsWith('...')).length;
  if (count >= least && (variadic || count <= inputs.length)) return undefined;
  return {
    code: 'wrong-input-count',
    message: `${kind} got ${count} operands`,
    got: String(count),
    wanted: inputs.map((name) => name.replace('!', '')).join(', '),
  };
}
