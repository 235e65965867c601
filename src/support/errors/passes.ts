// Errors of running passes: what the switch AFTER asks for.

import { UltramemError } from '../errors.ts';

/** AFTER names no pass. */
export const unknownPass = (name: string, known: readonly string[], hint: string): UltramemError =>
  new UltramemError('unknown-pass', `AFTER=${name}: no pass is called that`, {
    hint: `${hint} The passes are ${known.join(', ')}.`.trim(),
    details: { name, known },
  });

/** Not a fault: AFTER asked to stop here and show the graph. */
export const stoppedAfter = (pass: string, graph: string): UltramemError =>
  new UltramemError('stopped-after', `the graph after ${pass}:\n${graph}`, {
    hint: 'Unset AFTER to compile the whole way.',
    details: { pass, graph },
  });
