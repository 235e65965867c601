// Errors of traces of launches: folders they go to, and folders that are run again.

import { UltramemError } from '../errors.ts';

/** Something lies where a trace is to go. */
export const traceFolderNotEmpty = (folder: string, holds: readonly string[]): UltramemError =>
  new UltramemError(
    'trace-folder-not-empty',
    `the trace folder ${folder} holds ${holds.slice(0, 4).join(', ')}${holds.length > 4 ? ', …' : ''}`,
    { hint: 'Name an empty folder, or one that is yet to be made.', details: { folder, holds } },
  );

/** A file of a trace could not be written while a step ran. `code`: disk-full or folder-not-writable. */
export const traceUnwritable = (code: string, path: string, reason: string, cause: unknown): UltramemError =>
  new UltramemError(code, `the trace ${path} cannot be written: ${reason}`, {
    hint: 'A trace takes about as much room as the weights that the step reads. Name another folder with --trace.',
    cause,
    details: { path },
  });

/** The folder holds no trace. */
export const traceMissing = (folder: string, why: string): UltramemError =>
  new UltramemError('trace-missing', `${folder} holds no trace: ${why}`, {
    hint: 'Give the folder that `ultramem run … --target simt --trace <folder>` wrote.',
    details: { folder },
  });

/** kernels.json is of another form. */
export const traceVersion = (path: string, got: unknown, wanted: number): UltramemError =>
  new UltramemError('trace-version', `${path} has version ${JSON.stringify(got)}; this ultramem reads ${wanted}`, {
    hint: 'Write the trace again, or replay it with the ultramem that wrote it.',
    details: { path, got, wanted },
  });

/** kernels.json does not say what it must. `at`: the place in it. */
export const traceMalformed = (path: string, at: string, wanted: string, got: unknown): UltramemError => {
  const shown = JSON.stringify(got) ?? 'nothing';
  const short = shown.length > 60 ? `${shown.slice(0, 60)}…` : shown;
  return new UltramemError('trace-malformed', `${path}: ${at} must be ${wanted}, not ${short}`, {
    hint: 'The file was changed or damaged; write the trace again.',
    details: { path, at, wanted },
  });
};

/** A file that kernels.json names is absent, no file, outside of the folder, or of another length. */
export const traceFileBroken = (path: string, what: string, details: Record<string, unknown> = {}): UltramemError =>
  new UltramemError('trace-file', `${path} ${what}`, {
    hint: 'The trace is damaged or was copied in part; write or copy it again.',
    details: { path, ...details },
  });

/** The program that runs launches again ended before its time. */
export const replayFailed = (folder: string, reason: string): UltramemError =>
  new UltramemError('replay-failed', `the launches of ${folder} cannot be run: ${reason}`, { details: { folder } });
