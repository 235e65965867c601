// What every word does: check its operands, let the op infer the results, and append the node or report the fault.

import type { Attrs, Type } from '../ir/graph.ts';
import { isProblem, type Problem } from '../ir/op.ts';
import { type Kind, ops } from '../ir/ops/index.ts';
import { checkOptions } from './declare.ts';
import { isState, isTensor, type State, type Tensor } from './tensor.ts';
import { currentTrace, shown, type Trace } from './trace.ts';

/** An operand as a call gives it: a number becomes a constant. Anything else is refused, for users without a type checker. */
type Operand = Tensor | State | number;

/** Attributes, or how to get them from the operands' types; asked only when all operands are sound. */
type AttrsRule = Attrs | ((...types: Type[]) => Attrs | Problem);

/**
 * Appends one op. `word` is what the user called, for messages.
 * After a fault, or where an operand is a stand-in from an earlier fault, `results` stand-ins come back.
 */
export function apply(word: string, kind: Kind, operands: readonly Operand[], rule: AttrsRule, results = 1): Tensor[] {
  const trace = currentTrace(word);
  const poison = (): Tensor[] => Array.from({ length: results }, () => trace.poison('f32'));
  const sound = operands.map((operand, i) => soundOperand(trace, word, operands, operand, wantsState(kind, i)));
  if (!sound.every((operand) => operand !== undefined)) return poison();
  if (sound.some(({ poisoned }) => poisoned)) return poison();
  const types = sound.map(
    (operand): Type => ({ dtype: isState(operand) ? 'f32' : operand.dtype, shape: operand.shape }),
  );
  const attrs = typeof rule === 'function' ? rule(...types) : rule;
  const inferred = isProblem(attrs) ? attrs : ops[kind].infer(types, attrs as Attrs);
  if (isProblem(inferred)) {
    trace.report({ ...inferred, message: inWordsOf(word, kind, inferred.message) });
    return poison();
  }
  for (const state of sound.filter(isState)) {
    if (trace.claim(state)) continue;
    const hint = 'declare a state per word: each is read and updated by exactly one';
    trace.report({ code: 'state-used-twice', message: `${word}: state "${state.id}" already has a word`, hint });
    return poison();
  }
  return trace.node(kind, sound, attrs as Attrs, inferred);
}

/** `apply` for words with one result. */
export const apply1 = <R extends Tensor>(word: string, kind: Kind, operands: readonly Operand[], rule: AttrsRule): R =>
  apply(word, kind, operands, rule)[0] as R;

/** Reports options that a word does not have. */
export const knownOptions = (word: string, options: object, known: readonly string[]): void =>
  checkOptions(currentTrace(word), word, options, known);

/** An axis counted from the end when negative; left as it is where there is no such axis, for the op to refuse. */
export const axisOf = (type: Type, axis: number): number =>
  axis < 0 && axis >= -type.shape.length ? axis + type.shape.length : axis;

const wantsState = (kind: Kind, i: number): boolean => ops[kind].inputs[i]?.endsWith('!') ?? false;

function soundOperand(
  trace: Trace,
  word: string,
  all: readonly Operand[],
  operand: Operand,
  stateWanted: boolean,
): Tensor | State | undefined {
  if (typeof operand === 'number') return constantLike(trace, word, operand, all.find(isTensor));
  if (stateWanted ? isState(operand) : isTensor(operand)) {
    if (operand.poisoned || trace.owns(operand)) return operand;
    const hint = 'declare and compute everything inside the one definition';
    trace.report({ code: 'foreign-tensor', message: `${word}: an operand belongs to another model`, hint });
    return undefined;
  }
  const got = isState(operand) || isTensor(operand) ? shown(operand) : describe(operand);
  const wanted = stateWanted ? 'a state, from m.state()' : 'a tensor';
  trace.report({ code: 'not-a-tensor', message: `${word}: operand ${all.indexOf(operand)} does not fit`, got, wanted });
  return undefined;
}

/** A number among operands is a scalar constant of the tensor operand's element type. */
function constantLike(trace: Trace, word: string, value: number, like: Tensor | undefined): Tensor | undefined {
  const attrs: Attrs = { value, dtype: like?.dtype === 'i32' ? 'i32' : 'f32' };
  const inferred = ops.constant.infer([], attrs);
  if (!isProblem(inferred)) return trace.node('constant', [], attrs, inferred)[0];
  trace.report({ ...inferred, message: inWordsOf(word, 'constant', inferred.message) });
  return undefined;
}

/** Ops name themselves in their messages (`einsum: …`, `topk keeps …`); the user called a word. */
const inWordsOf = (word: string, kind: string, message: string): string => {
  if (new RegExp(`^${word}\\b`).test(message)) return message;
  return `${word}: ${message.replace(new RegExp(`^${kind}: `), '')}`;
};

function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (Array.isArray(value)) return 'an array';
  return typeof value === 'object' ? 'an object' : `${typeof value} ${String(value)}`;
}
