// Where in the model file a word was called, and through which presets.

import { fileURLToPath } from 'node:url';
import { parse } from 'stacktrace-parser';
import type { Loc } from '../ir/graph.ts';

const folder = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** Folders whose frames are the package's own: a preset's words point at the user's call of the preset. */
const words = folder('.');
const presets = folder('../models/');

/** Presets call presets, so the user's frame may lie deep. */
const deepestFrame = 64;

/** A call with an absolute path. */
export interface Call extends Loc {
  /** Whether it stands in a preset; else in the user's files. */
  readonly preset: boolean;
}

/**
 * The calls that led to the word in progress, from the inside out, up to the model's definition: lines of presets and of the user.
 * Reads `err.stack`, since that is source-mapped; empty when every frame is the package's own or the runtime's.
 */
export function callPath(): readonly Call[] {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = deepestFrame;
  const stack = new Error().stack ?? '';
  Error.stackTraceLimit = limit;
  const calls: Call[] = [];
  for (const { file, lineNumber, column } of parse(stack)) {
    if (file === null || lineNumber === null || file.startsWith('node:')) continue;
    const path = file.startsWith('file:') ? fileURLToPath(file.replace(/\?.*$/, '')) : file;
    // Behind the user's frames stands the word that runs the definition.
    if (path.startsWith(words) && calls.some(({ preset }) => !preset)) break;
    if (path.startsWith(words)) continue;
    calls.push({ file: path, line: lineNumber, column: column ?? 1, preset: path.startsWith(presets) });
  }
  return calls;
}

/** The user's call among those that led to a word: the first outside the package. */
export function userCall(calls: readonly Call[]): Loc | undefined {
  const call = calls.find(({ preset }) => !preset);
  return call && { file: call.file, line: call.line, column: call.column };
}

/** The user's call that led to the word in progress, with an absolute path. */
export const callSite = (): Loc | undefined => userCall(callPath());
