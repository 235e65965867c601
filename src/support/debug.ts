// What DEBUG=1…6 tells: one line prefix, one stream (stderr), text made only when somebody wants it.

import { type DebugLevel, debugLevel } from './env.ts';

/** Writes `text()` to stderr where DEBUG is at least `level`. Every line is prefixed, so that it can be filtered out. */
export function debug(level: DebugLevel, text: () => string): void {
  if (debugLevel() < level) return;
  const lines = text()
    .trimEnd()
    .split('\n')
    .map((line) => `ultramem[${level}] ${line}\n`);
  process.stderr.write(lines.join(''));
}
