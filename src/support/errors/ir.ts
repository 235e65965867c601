// Errors of graphs: textual form, verifier, interpreter.

import { UltramemError } from '../errors.ts';

/** Fault in the text of a graph; line and column count from 1. */
export const irSyntax = (message: string, line: number, column: number, hint?: string): UltramemError =>
  new UltramemError('ir-syntax', `line ${line}, column ${column}: ${message}`, {
    ...(hint === undefined ? {} : { hint }),
    details: { line, column },
  });

/** An op that does not accept its operands or attributes. */
export const opMisuse = (
  kind: string,
  problem: {
    code: string;
    message: string;
    got?: string | undefined;
    wanted?: string | undefined;
    hint?: string | undefined;
  },
): UltramemError => {
  const facts = [problem.got && `got ${problem.got}`, problem.wanted && `wanted ${problem.wanted}`].filter(Boolean);
  const message = facts.length > 0 ? `${problem.message} (${facts.join(', ')})` : problem.message;
  return new UltramemError(problem.code, message, {
    ...(problem.hint === undefined ? {} : { hint: problem.hint }),
    details: { op: kind },
  });
};

/** A name that no op has. */
export const unknownOp = (kind: string, hint: string): UltramemError =>
  new UltramemError('unknown-op', `no op is called "${kind}"`, { hint: hint.trim(), details: { op: kind } });

/** A graph that breaks a rule every graph keeps. */
export const badGraph = (graph: string, faults: readonly string[]): UltramemError =>
  new UltramemError('bad-graph', `graph ${graph} is not well formed:\n  ${faults.join('\n  ')}`, {
    details: { faults },
  });

/** An index of a gather, a cache or a group that points outside. */
export const indexOutOfRange = (op: string, index: number, below: number): UltramemError =>
  new UltramemError('index-out-of-range', `${op}: index ${index} is outside 0..${below - 1}`, {
    hint: 'check the ids, and that index tables of the checkpoint belong to tables of this size',
    details: { op, index, below },
  });

/** A tensor handed to the interpreter that does not fit the graph. */
export const misfit = (what: string, name: string, got: string, wanted: string): UltramemError =>
  new UltramemError('tensor-misfit', `${what} "${name}" is ${got}, the graph wants ${wanted}`, {
    details: { name, got, wanted },
  });
