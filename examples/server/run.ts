// The server as a process: compiles a model, loads its weights, listens, and ends cleanly.

import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { constants } from 'node:os';
import { DiagnosticsError, UltramemError } from 'ultramem';
import { loadModel } from 'ultramem/compile';
import { openModel } from 'ultramem/open';
import { loadTokenizer, type Progress } from 'ultramem/runtime';
import { createApp } from './app.ts';
import type { Options } from './options.ts';
import { serve } from './served-model.ts';
import { drain } from './shutdown.ts';

/** Serves until a signal asks it to end; a second one ends the process there and then. Sets the exit code. */
export async function run(options: Options): Promise<void> {
  const stopping = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (stopping.signal.aborted) process.exit(128 + constants.signals[signal]);
      stopping.abort();
    });
  }
  try {
    await serveUntil(stopping.signal, options);
  } catch (error) {
    endProgress();
    if (stopping.signal.aborted) return; // the compilation was, or the loading
    console.error(describe(error));
    process.exitCode = 1;
  }
}

async function serveUntil(signal: AbortSignal, options: Options): Promise<void> {
  const { host, port, grace, maxBody, log, maxTokens, maxWaiting, timeout, name } = options;
  showProgress({ stage: 'reading the model' });
  const config: unknown = options.config === undefined ? undefined : JSON.parse(await readFile(options.config, 'utf8'));
  const model = await loadModel(options.model, config);
  const onTarget = (target: string, why: string) => console.error(`target ${target}: ${why}`);
  await using session = await openModel(model, options.weights, {
    ...options,
    signal,
    onProgress: showProgress,
    onTarget,
  });
  const served = serve(session, {
    ...{ maxWaiting, timeout },
    ...(name !== undefined && { id: name }),
    ...(maxTokens !== undefined && { maxTokens }),
    ...(options.tokenizer !== undefined && { tokenizer: await loadTokenizer(options.tokenizer) }),
  });
  const app = createApp(served, { bodyLimit: maxBody, logLevel: log === 'silent' ? undefined : log });
  const address = await app.listen({ host, port });
  endProgress();
  if (!isLoopback(host)) console.error(`${host} is open to others, and the server asks nobody who they are`);
  const { target, maxSequences } = options;
  console.log(`${served.id} (${target}) listens on ${address}: ${maxSequences} at once, ${maxWaiting} waiting`);
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  const { open } = served.requests;
  console.error(`shutting down${open === 0 ? '' : `: ${open} requests may go on for ${grace} s`}`);
  await drain(app, served.requests, grace);
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

function showProgress({ stage, done, total }: Progress): void {
  if (!process.stderr.isTTY) return;
  process.stderr.write(
    `\r\x1b[K${stage}${done === undefined || !total ? '' : ` ${Math.floor((100 * done) / total)} %`}`,
  );
}

function endProgress(): void {
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
}

/** A fault of the model, a file or the machine in words; a stack only where it is a bug. */
function describe(error: unknown): string {
  if (error instanceof UltramemError) {
    return `error ${error.code}: ${error.message}${error.hint === undefined ? '' : `\n  help: ${error.hint}`}`;
  }
  if (error instanceof DiagnosticsError) return `error ${error.message}`;
  if (error instanceof Error && typeof (error as NodeJS.ErrnoException).syscall === 'string') {
    return `error: ${error.message}`;
  }
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
