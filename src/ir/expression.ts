// Bodies of fused element-wise nodes: `mul(silu(b),a)` over operands a, b, c … and numbers.

import {
  type BinaryName,
  binaryFunctions,
  binaryNames,
  type UnaryName,
  unaryFunctions,
  unaryNames,
} from './scalar-functions.ts';

/** A body: an operand by position, a number, or a function of bodies. */
export type Expression =
  | { readonly kind: 'operand'; readonly index: number }
  | { readonly kind: 'number'; readonly value: number }
  | { readonly kind: 'call'; readonly fn: UnaryName | BinaryName; readonly args: readonly Expression[] };

/** Most operands of one body: letters a to z. */
export const maxOperands = 26;

export function expressionText(e: Expression): string {
  if (e.kind === 'operand') return String.fromCharCode(97 + e.index);
  if (e.kind === 'number') return Object.is(e.value, -0) ? '-0' : String(e.value);
  return `${e.fn}(${e.args.map(expressionText).join(',')})`;
}

/** Parses a body; undefined where the text is none (unknown function, wrong argument count, trailing text). */
export function parseExpression(text: string): Expression | undefined {
  let rest = text;
  const take = (token: RegExp): string | undefined => {
    const found = token.exec(rest)?.[0];
    if (found !== undefined) rest = rest.slice(found.length);
    return found;
  };
  const parse = (): Expression | undefined => {
    const number = take(/^-?(\d+(\.\d+)?(e[+-]?\d+)?|Infinity)|^NaN/);
    if (number !== undefined) return { kind: 'number', value: Number(number) };
    const name = take(/^[a-z][a-z0-9]*/);
    if (name === undefined) return undefined;
    if (!take(/^\(/)) return name.length === 1 ? { kind: 'operand', index: name.charCodeAt(0) - 97 } : undefined;
    const args: Expression[] = [];
    do {
      const arg = parse();
      if (arg === undefined) return undefined;
      args.push(arg);
    } while (take(/^,/));
    if (!take(/^\)/)) return undefined;
    const arity = (unaryNames as string[]).includes(name) ? 1 : (binaryNames as string[]).includes(name) ? 2 : -1;
    return args.length === arity ? { kind: 'call', fn: name as UnaryName | BinaryName, args } : undefined;
  };
  const result = parse();
  return rest === '' ? result : undefined;
}

/** Positions of the operands a body reads. */
export function operandsOf(e: Expression): Set<number> {
  if (e.kind === 'operand') return new Set([e.index]);
  return e.kind === 'call' ? new Set(e.args.flatMap((arg) => [...operandsOf(arg)])) : new Set();
}

/** Number of function applications in a body. */
export const callsOf = (e: Expression): number =>
  e.kind === 'call' ? 1 + e.args.reduce((n, arg) => n + callsOf(arg), 0) : 0;

/** A body as a function of its operands; every application is rounded to f32, as the separate nodes it stands for do. */
export function evaluator(e: Expression): (operands: readonly number[]) => number {
  if (e.kind === 'operand') return (operands) => operands[e.index]!;
  if (e.kind === 'number') {
    const value = Math.fround(e.value);
    return () => value;
  }
  const [x, y] = e.args.map(evaluator);
  if (!y) {
    const apply = unaryFunctions[e.fn as UnaryName];
    return (operands) => Math.fround(apply(x!(operands)));
  }
  const apply = binaryFunctions[e.fn as BinaryName];
  return (operands) => Math.fround(apply(x!(operands), y(operands)));
}
