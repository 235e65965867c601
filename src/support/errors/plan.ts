// Errors of planning: shapes that no kernel serves, and weights that no step can leave where they are.

import { UltramemError } from '../errors.ts';

/** Where a node stands in the model file, for messages: ` (model.ts:14:3)`. */
const place = (loc: { file: string; line: number; column: number } | undefined): string =>
  loc === undefined ? '' : ` (${loc.file}:${loc.line}:${loc.column})`;

/** An op is used in a way that the target has no kernel for. `limit` says what is possible, `got` what the model asks. */
export function unsupportedShape(
  op: string,
  attribute: string,
  limit: string,
  got: string,
  loc?: { file: string; line: number; column: number },
): UltramemError {
  return new UltramemError('unsupported-shape', `${op}${place(loc)}: ${attribute} must be ${limit}, got ${got}`, {
    hint: 'The graph is valid (the interpreter runs it), but this target has no kernel for it. Rewrite this part of the model.',
    details: { op, attribute, limit, got },
  });
}

/** `computes`: the node that reads all of a weight which the model leaves in its file. */
export const weightReadWhole = (
  name: string,
  computes: string,
  loc?: { file: string; line: number; column: number },
): UltramemError =>
  new UltramemError(
    'weight-read-whole',
    `weight "${name}" is placed in its file, but all of it is read${place(loc)}: ${computes}`,
    {
      hint: 'Only tables whose rows are gathered can stay in their file. Leave out the placement, or gather rows first.',
      details: { name, computes },
    },
  );
