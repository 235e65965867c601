// A thrown error → what the user reads and the exit status.

import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { CommanderError } from 'commander';
import colors from 'picocolors';
import { DiagnosticsError } from '../support/diagnostics.ts';
import { debugLevel } from '../support/env.ts';
import { UltramemError } from '../support/errors.ts';
import type { ExitCode } from './exit-codes.ts';

/** How an error ends the command: `text` for stderr, `json` for stdout under --json. */
export interface Failure {
  readonly exitCode: ExitCode;
  readonly text: string;
  readonly json: { readonly code: string; readonly message: string; readonly [fact: string]: unknown };
}

const bugHint = 'This is a bug in ultramem. Please report it with the command line and the model file.';

/** Classifies `error`: user's fault (no stack), misused command line, interrupt, or a bug (stack under DEBUG). */
export function describeFailure(error: unknown, interrupted: boolean): Failure {
  if (error instanceof CommanderError) {
    const message = error.message.replace(/^error: /, '');
    return { exitCode: 2, text: lines('cli-usage', message), json: { code: 'cli-usage', message } };
  }
  if (interrupted || isAbort(error)) {
    return { exitCode: 130, text: 'interrupted', json: { code: 'cli-interrupted', message: 'interrupted' } };
  }
  if (error instanceof DiagnosticsError) {
    const summary = lines(error.code, error.message.split('\n')[0] ?? '');
    return { exitCode: 1, text: `${error.render(frames)}\n\n${summary}`, json: error.toJSON() };
  }
  if (error instanceof UltramemError) {
    return { exitCode: 1, text: lines(error.code, error.message, error.hint) + causes(error), json: error.toJSON() };
  }
  if (isSystemError(error)) {
    return {
      exitCode: 1,
      text: lines('system', error.message, systemHints[error.code ?? '']),
      json: { code: 'system', message: error.message, errno: error.code },
    };
  }
  const message = error instanceof Error ? error.message : String(error);
  const stack = error instanceof Error ? error.stack : undefined;
  const tail = debugLevel() > 0 ? (stack ?? '') : 'Run it again with DEBUG=1 to see the stack.';
  return {
    exitCode: 70,
    text: `${lines('bug', message, bugHint)}\n${tail}${debugLevel() > 0 ? causes(error) : ''}`,
    json: { code: 'bug', message, hint: bugHint, ...(debugLevel() > 0 ? { stack } : {}) },
  };
}

/** Code frames from the files on disk, with paths as short as they come from the working directory. */
const frames = {
  source(file: string): string | undefined {
    try {
      return readFileSync(file, 'utf8');
    } catch {
      return undefined;
    }
  },
  path(file: string): string {
    const short = relative(process.cwd(), file);
    return short.startsWith('..') ? file : short;
  },
};

const systemHints: Record<string, string> = {
  ENOENT: 'The path is relative to the working directory.',
  EACCES: 'Check the permissions of the path.',
  ENOSPC: 'The disk is full; ULTRAMEM_CACHE moves the build cache elsewhere.',
  EMFILE: 'Raise the limit of open files (ulimit -n).',
};

function lines(code: string, message: string, hint?: string): string {
  const paint = colors.createColors(process.stderr.isTTY === true && colors.isColorSupported);
  const head = `${paint.red(paint.bold('error'))} ${paint.bold(code)}: ${message}`;
  return hint === undefined ? head : `${head}\n  ${paint.cyan('help')}: ${hint}`;
}

/** The chain of causes with their stacks: for developers, so under DEBUG only. */
function causes(error: unknown): string {
  if (debugLevel() === 0) return '';
  let text = '';
  for (let cause = (error as Error).cause; cause !== undefined; cause = (cause as Error).cause) {
    text += `\n  caused by: ${cause instanceof Error ? (cause.stack ?? cause.message) : String(cause)}`;
    if (!(cause instanceof Error)) break;
  }
  return text;
}

const isSystemError = (error: unknown): error is NodeJS.ErrnoException =>
  error instanceof Error && typeof (error as NodeJS.ErrnoException).syscall === 'string';

const isAbort = (error: unknown): boolean => error instanceof Error && error.name === 'AbortError';
