// Where a verb's words go: results to stdout, everything else to stderr, progress only where somebody watches.

import { isatty } from 'node:tty';
import type { OnProgress } from '../support/progress.ts';
import type { ExitCode } from './exit-codes.ts';

/** What a verb may touch of the outside: its streams, its interrupt and its exit status. */
export interface Terminal {
  /** Aborted by the first SIGINT or SIGTERM. */
  readonly signal: AbortSignal;
  /** Whether a person can be asked: stdin and stdout are a terminal. */
  readonly interactive: boolean;
  /** Text to stdout, as it is. */
  write(text: string): void;
  /** A line or block of text to stdout. */
  print(text: string): void;
  /** The one JSON value that a verb prints under --json. */
  printJson(value: unknown): void;
  /** A remark to stderr. */
  note(text: string): void;
  /** Replaces the progress line; shown on a terminal only. */
  readonly progress: OnProgress;
  /** Takes the progress line away. */
  endProgress(): void;
  /** Status to end with when nothing is thrown. */
  exitCode: ExitCode;
}

/** Seconds after which a stage says how long it takes: that something still happens. */
const patience = 2;

/** A terminal over this process's streams. Exits quietly when the reader of stdout goes away (EPIPE). */
export function processTerminal(signal: AbortSignal): Terminal {
  const { stdout, stderr } = process;
  for (const stream of [stdout, stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(0);
      throw error;
    });
  }
  let shown: { readonly stage: string; readonly since: number; line: string } | undefined;
  let ticking: NodeJS.Timeout | undefined;
  const draw = (): void => {
    if (shown === undefined) return;
    const seconds = Math.floor((performance.now() - shown.since) / 1000);
    const line = seconds < patience ? shown.line : `${shown.line}, ${seconds} s`;
    stderr.write(`\r\x1b[K${line}`.slice(0, (stderr.columns || 80) + 3));
  };
  const endProgress = (): void => {
    if (shown !== undefined) stderr.write('\r\x1b[K');
    shown = undefined;
    clearInterval(ticking);
    ticking = undefined;
  };
  return {
    signal,
    interactive: isatty(0) && isatty(1), // process.stdin would take the descriptor for itself
    exitCode: 0,
    write: (text) => void stdout.write(text),
    print(text) {
      endProgress();
      stdout.write(text.endsWith('\n') ? text : `${text}\n`);
    },
    printJson(value) {
      endProgress();
      stdout.write(`${JSON.stringify(value, undefined, 2)}\n`);
    },
    note(text) {
      endProgress();
      stderr.write(text.endsWith('\n') ? text : `${text}\n`);
    },
    progress({ stage, done, total }) {
      if (!stderr.isTTY) return;
      const share = done === undefined || !total ? '' : ` ${Math.floor((done / total) * 100)} %`;
      if (shown?.stage !== stage) shown = { stage, since: performance.now(), line: '' };
      shown.line = `${stage}${share}`;
      draw();
      ticking ??= setInterval(draw, 1000).unref();
    },
    endProgress,
  };
}
