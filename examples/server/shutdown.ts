// The end of the server: what runs may finish, for a while; then it is told so.

import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyInstance } from 'fastify';
import { shuttingDown } from './api-error.ts';
import type { Requests } from './requests.ts';

/** Seconds for last words to reach clients that read. */
const LAST_WORDS = 1;

/**
 * Refuses what comes from now on – /health says so, on the same port – and lets open requests finish for so many seconds. What then
 * still runs is aborted with an error, the last event of a stream. Resolves when nothing listens and nothing runs.
 */
export async function drain(app: FastifyInstance, requests: Requests, graceSeconds: number): Promise<void> {
  const idle = requests.drain();
  if (!(await within(graceSeconds, idle))) {
    requests.abort(shuttingDown());
    await within(LAST_WORDS, idle);
  }
  const closed = app.close();
  // Connections that wait for nothing are closed by now; those of clients that do not read, or are in the middle of a head, are cut.
  if (!(await within(requests.open > 0 ? 0 : LAST_WORDS, closed))) app.server.closeAllConnections();
  await closed;
  await idle;
}

/** Whether the promise resolved in time. */
async function within(seconds: number, promise: Promise<unknown>): Promise<boolean> {
  const timer = new AbortController();
  const late = sleep(1000 * seconds, false, { signal: timer.signal }).catch(() => false);
  try {
    return await Promise.race([promise.then(() => true), late]);
  } finally {
    timer.abort();
  }
}
