// Faults of a command line or of the files it names.

import { UltramemError } from '../errors.ts';

/** A file named on the command line cannot be read. */
export function unreadableFile(path: string, what: string, cause: unknown): UltramemError {
  const reason = (cause as NodeJS.ErrnoException)?.code ?? String(cause);
  return new UltramemError('cli-unreadable-file', `cannot read the ${what} ${path}: ${reason}`, {
    hint: reason === 'ENOENT' ? 'The path is relative to the working directory.' : 'Check its permissions.',
    cause,
    details: { path },
  });
}

/** A file named on the command line cannot be written. */
export function unwritableFile(path: string, what: string, cause: unknown): UltramemError {
  const reason = (cause as NodeJS.ErrnoException)?.code ?? String(cause);
  const hints: Readonly<Record<string, string>> = {
    ENOENT: 'Its folder does not exist: make it first, or name another.',
    EISDIR: 'It is a folder: name a file in it.',
    ENOTDIR: 'Part of the path is a file: name another.',
    ENOSPC: 'The disk is full.',
  };
  return new UltramemError('cli-unwritable-file', `cannot write the ${what} ${path}: ${reason}`, {
    hint: hints[reason] ?? 'Check the permissions of its folder.',
    cause,
    details: { path },
  });
}

/** A JSON file named on the command line is not JSON. */
export function badJson(path: string, what: string, cause: unknown): UltramemError {
  return new UltramemError('cli-bad-json', `the ${what} ${path} is not JSON: ${(cause as Error).message}`, {
    hint: 'Check it with `node -p "JSON.parse(fs.readFileSync(\'…\'))"`.',
    cause,
    details: { path },
  });
}

/** A command needs an option that was not given. */
export function optionNeeded(option: string, why: string, hint: string): UltramemError {
  return new UltramemError('cli-option-needed', `${option} is needed: ${why}`, { hint, details: { option } });
}

/** `verify` had nothing to compare. */
export function nothingToVerify(path: string, why: string): UltramemError {
  return new UltramemError('cli-nothing-to-verify', `nothing to verify in ${path}: ${why}`, {
    hint: 'Give a case (name.safetensors with name.json beside it) or a folder of cases.',
    details: { path },
  });
}

/** A file of inputs lacks some that the model takes. */
export function inputsLacking(path: string, lacking: readonly string[], has: readonly string[]): UltramemError {
  const shown = has.slice(0, 8).join(', ') + (has.length > 8 ? ', …' : '');
  return new UltramemError(
    'cli-inputs-lacking',
    `${path} has no ${lacking.join(', ')}; it has ${shown || 'no tensors'}`,
    {
      hint: 'Name tensors as the model names its inputs; the prefix "in." is accepted.',
      details: { path, lacking },
    },
  );
}
