// Shape rules in a line: patterns such as `f32[T,H,d]` bind dims by label over all operands, and the first misfit is a problem.

import type { DType } from '../support/dtype.ts';
import { invariant } from '../support/errors.ts';
import type { Dim, Type } from './graph.ts';
import { sameShape, typeText } from './graph.ts';
import { isProblem, type Problem } from './op.ts';

/** Dims that patterns bound, by label. */
export type Bindings = (label: string) => Dim;

export const f32 = (...shape: readonly Dim[]): Type => ({ dtype: 'f32', shape });
export const i32 = (...shape: readonly Dim[]): Type => ({ dtype: 'i32', shape });

interface Pattern {
  readonly dtypes: readonly string[];
  readonly labels: readonly string[];
}

/** `f32[T,r,d]`, `i32|i64[T]`, `any[N]`. A number in a pattern stands for itself. */
function pattern(source: string): Pattern {
  const [, dtypes = '', labels = ''] = /^([\w|]+)\[(.*)\]$/.exec(source) ?? [];
  invariant(dtypes !== '', `bad operand pattern ${source}`);
  return { dtypes: dtypes.split('|'), labels: labels === '' ? [] : labels.split(',') };
}

/** Fits operand types to patterns (operands beyond the patterns are not looked at). */
export function bind(
  kind: string,
  names: readonly string[],
  types: readonly Type[],
  patterns: readonly string[],
): Bindings | Problem {
  const bound = new Map<string, { dim: Dim; by: string }>();
  for (const [i, source] of patterns.entries()) {
    const type = types[i];
    if (type === undefined) continue;
    const name = (names[i] ?? `operand ${i}`).replace(/[?!.]/g, '');
    const { dtypes, labels } = pattern(source);
    const wrong = wrongDtype(kind, name, type, dtypes, i);
    if (wrong) return wrong;
    if (type.shape.length !== labels.length) {
      const message = `${kind}: ${name} has ${type.shape.length} axes, not ${labels.length}`;
      return { code: 'wrong-rank', message, got: typeText(type), wanted: source.replace('|', ' or '), input: i };
    }
    for (const [axis, label] of labels.entries()) {
      const dim = type.shape[axis]!;
      const literal = /^\d+$/.test(label) ? Number(label) : undefined;
      const before = literal === undefined ? bound.get(label) : { dim: literal, by: 'its definition' };
      if (before === undefined) {
        bound.set(label, { dim, by: name });
      } else if (before.dim !== dim) {
        const message = `${kind}: axis ${axis} of ${name} is ${dim}, but ${before.by} has ${label} = ${before.dim}`;
        const wanted = `[${labels.map((l) => bound.get(l)?.dim ?? l).join(',')}]`;
        return { code: 'wrong-shape', message, got: typeText(type), wanted, input: i };
      }
    }
  }
  return (label) => {
    const found = bound.get(label);
    invariant(found !== undefined, `${kind}: label ${label} is unbound`);
    return found.dim;
  };
}

/** Whether an operand has one of the element types (`any` fits all); the problem when not. */
export function wrongDtype(
  kind: string,
  name: string,
  type: Type,
  dtypes: readonly string[],
  input: number,
): Problem | undefined {
  if (dtypes.includes('any') || dtypes.includes(type.dtype)) return undefined;
  const hint =
    (type.dtype === 'bf16' || type.dtype === 'f16') && dtypes.includes('f32')
      ? `arithmetic is in f32: cast(${name}, 'f32') first`
      : undefined;
  const message = `${kind}: ${name} is ${type.dtype}, not ${dtypes.join(' or ')}`;
  return { code: 'wrong-dtype', message, got: typeText(type), wanted: dtypes.join(' or '), hint, input };
}

/** The rule most ops need: fit, then say the results. */
export function shaped(
  kind: string,
  names: readonly string[],
  types: readonly Type[],
  patterns: readonly string[],
  results: (dim: Bindings) => readonly Type[] | Problem,
): readonly Type[] | Problem {
  const bound = bind(kind, names, types, patterns);
  return isProblem(bound) ? bound : results(bound);
}

/** First operand of at least `rank` axes with one of the element types; the problem when not. */
export function wrongFirst(
  kind: string,
  type: Type,
  rank: number,
  dtypes: readonly DType[] = ['f32'],
): Problem | undefined {
  const wrong = wrongDtype(kind, 'x', type, dtypes, 0);
  if (wrong || type.shape.length >= rank) return wrong;
  const message = `${kind}: x has ${type.shape.length} axes`;
  return { code: 'wrong-rank', message, got: typeText(type), wanted: `at least ${rank}`, input: 0 };
}

/** An axis attribute against a type. */
export function wrongAxis(kind: string, type: Type, axis: number): Problem | undefined {
  if (axis < type.shape.length) return undefined;
  const message = `${kind}: axis ${axis} of a value with ${type.shape.length} axes`;
  return {
    code: 'bad-attribute',
    message,
    got: typeText(type),
    wanted: `an axis below ${type.shape.length}`,
    input: 0,
  };
}

/** Shape of an element-wise result: equal dims, or 1 against anything, aligned at the last axis. */
export function broadcast(kind: string, types: readonly Type[]): readonly Dim[] | Problem {
  const rank = Math.max(...types.map((type) => type.shape.length));
  const shape: Dim[] = new Array<Dim>(rank).fill(1);
  for (const [i, type] of types.entries()) {
    for (const [axis, dim] of type.shape.entries()) {
      const at = rank - type.shape.length + axis;
      if (shape[at] === 1) shape[at] = dim;
      else if (dim !== 1 && dim !== shape[at]) {
        const message = `${kind}: shapes do not broadcast: axis ${axis} of operand ${i} is ${dim}, the others have ${shape[at]}`;
        const wanted = `[${shape.join(',')}], or 1 where they differ`;
        return { code: 'wrong-shape', message, got: typeText(type), wanted, input: i };
      }
    }
  }
  return types.every((type) => sameShape(type.shape, types[0]!.shape)) ? types[0]!.shape : shape;
}
