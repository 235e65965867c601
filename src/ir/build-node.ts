// Making nodes: the one way the DSL, the passes and the parser do.

import { opMisuse, unknownOp } from '../support/errors/ir.ts';
import { invariant } from '../support/errors.ts';
import { deepFreeze } from '../support/freeze.ts';
import { didYouMean } from '../support/suggest.ts';
import type { Attrs, Loc, Node, Result, Type, ValueId } from './graph.ts';
import { computedType } from './graph.ts';
import { isProblem, type Problem } from './op.ts';
import { type AttrsOf, isKind, type Kind, ops } from './ops/index.ts';

/** A value as an operand: its id and type. */
export interface Operand {
  readonly id: ValueId;
  readonly type: Type;
}

/**
 * Result types of an op on operand types, or the first problem; operands that are stored narrow count as the f32 they are
 * computed with where the op does not take them as they are. Throws `unknown-op`.
 */
export function inferTypes(kind: string, types: readonly Type[], attrs: Attrs): readonly Type[] | Problem {
  if (!isKind(kind)) throw unknownOp(kind, didYouMean(kind, Object.keys(ops)));
  const { infer } = ops[kind];
  const inferred = infer(types, attrs);
  const computed = isProblem(inferred) ? infer(types.map(computedType), attrs) : inferred;
  return isProblem(computed) ? inferred : computed;
}

/**
 * A frozen node with inferred result types. `ids` names the results: a list, or a prefix that gets `.0`, `.1` … where the op has
 * several. Throws the op's problem as an UltramemError.
 */
export function makeNode<K extends Kind>(
  kind: K,
  inputs: readonly Operand[],
  attrs: AttrsOf<K>,
  ids: ValueId | readonly ValueId[],
  place: { loc?: Loc | undefined; stage?: Node['stage'] } = {},
): Node {
  const types = inferTypes(
    kind,
    inputs.map((input) => input.type),
    attrs as Attrs,
  );
  if (isProblem(types)) throw opMisuse(kind, types);
  const named = (i: number) => (typeof ids !== 'string' ? ids[i] : types.length === 1 ? ids : `${ids}.${i}`);
  const results = types.map((type, i): Result => {
    const id = named(i);
    invariant(id !== undefined, `${kind} has ${types.length} results, ids for ${ids.length}`);
    return { id, type };
  });
  return deepFreeze({
    op: kind,
    inputs: inputs.map((input) => input.id),
    attrs: { ...(attrs as Attrs) },
    results,
    stage: place.stage ?? 'step',
    loc: place.loc,
  });
}

/** Attributes of a node known to be of a kind. */
export function attrsOf<K extends Kind>(node: Node, kind: K): AttrsOf<K> {
  invariant(node.op === kind, `expected a ${kind} node, got ${node.op}`);
  return node.attrs as unknown as AttrsOf<K>;
}
