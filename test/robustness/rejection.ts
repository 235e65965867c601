// The code of the typed error that a call ends with.

import * as assert from 'uvu/assert';
import { UltramemError } from '../../src/support/errors.ts';

/** Waits for the call to fail with an UltramemError of this code, and returns it. */
export async function rejects(call: Promise<unknown> | (() => unknown), code: string): Promise<UltramemError> {
  let result: unknown;
  try {
    result = await (typeof call === 'function' ? call() : call);
  } catch (error) {
    if (!(error instanceof UltramemError)) throw error;
    assert.is(error.code, code, error.message);
    return error;
  }
  return assert.unreachable(`gave ${String(result)}, wanted ${code}`) as never;
}
