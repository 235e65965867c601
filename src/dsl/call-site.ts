// Where in the model file a word was called.

import { fileURLToPath } from 'node:url';
import { parse } from 'stacktrace-parser';
import type { Loc } from '../ir/graph.ts';

/** Folders whose frames are the package's own: a preset's words point at the user's call of the preset. */
const own = [new URL('.', import.meta.url), new URL('../models/', import.meta.url)].map((url) => fileURLToPath(url));

/** Presets call presets, so the user's frame may lie deep. */
const deepestFrame = 64;

/**
 * The first frame of the stack outside the package's DSL and presets, with an absolute file path.
 * Reads `err.stack`, since that is source-mapped; undefined when every frame is the package's own or the runtime's.
 */
export function callSite(): Loc | undefined {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = deepestFrame;
  const stack = new Error().stack ?? '';
  Error.stackTraceLimit = limit;
  for (const { file, lineNumber, column } of parse(stack)) {
    if (file === null || lineNumber === null || file.startsWith('node:')) continue;
    const path = file.startsWith('file:') ? fileURLToPath(file.replace(/\?.*$/, '')) : file;
    if (own.some((folder) => path.startsWith(folder))) continue;
    return { file: path, line: lineNumber, column: column ?? 1 };
  }
  return undefined;
}
