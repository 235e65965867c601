// The one error class that reaches users. The catalogue of codes lives in errors/, one file per area.

/** A fault in the user's model, files, machine or call: has a stable `code` and says what to do in `hint`. */
export class UltramemError extends Error {
  override readonly name: string = 'UltramemError';
  /** Stable, kebab-case: safe to test against. */
  readonly code: string;
  /** What to do about it; one or two sentences. */
  readonly hint: string | undefined;
  /**
   * Machine-readable facts (paths, names, shapes): the `details` of the JSON form, which `--json` shows.
   * Not called `details` here: uvu takes an error's `details` for text, and a test that such an error ends would count as passed.
   */
  readonly facts: Readonly<Record<string, unknown>>;

  constructor(
    code: string,
    message: string,
    options: { hint?: string; cause?: unknown; details?: Record<string, unknown> } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
    this.facts = Object.freeze({ ...options.details });
  }

  toJSON(): { code: string; message: string; hint: string | undefined; details: Readonly<Record<string, unknown>> } {
    return { code: this.code, message: this.message, hint: this.hint, details: this.facts };
  }
}

/** A broken promise inside ultramem (a bug), never the user's fault. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError';
}

/** Throws InvariantError when `condition` does not hold. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new InvariantError(`ultramem bug: ${message}`);
}

/** Closes an exhaustive switch. */
export function unreachable(value: never): never {
  throw new InvariantError(`ultramem bug: unexpected ${JSON.stringify(value)}`);
}
