// Servers for tests: the example's app on sessions that need no compiled model, and clients that look closely.

import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyInstance } from 'fastify';
import * as assert from 'uvu/assert';
import { type AppOptions, createApp } from '../../examples/server/app.ts';
import { type ServedModel, type ServedOptions, type ServedSession, serve } from '../../examples/server/served-model.ts';
import { Session } from '../../src/runtime/index.ts';
import { Sequences } from '../../src/runtime/sequences.ts';
import { UltramemError } from '../../src/support/errors.ts';
import { languageEngine } from '../runtime/language-engine.ts';

export interface Served {
  readonly app: FastifyInstance;
  readonly served: ServedModel;
}

/** A server on a real session, whose model says `say` again and again, a byte per millisecond. */
export function parrot(
  say: string,
  options: ServedOptions & AppOptions & { readonly context?: number; readonly sequences?: number } = {},
): Served & { readonly session: Session } {
  const { context = 64, sequences = 2 } = options;
  const session = new Session(languageEngine(new TextEncoder().encode(say), { context, sequences }));
  const served = serve(session, options);
  return { app: createApp(served, options), served, session };
}

/** A session that is free with its words, and counts them. */
export interface Talker extends ServedSession {
  /** Tokens that were taken from all generations. */
  taken: number;
}

/**
 * A session whose tokens are all `text`, as many as are asked for.
 * @param pause before each token; it ends early when the signal is aborted
 * @param fail throws in place of the n-th token of a generation
 */
export function talker(
  text: string,
  {
    sequences = 2,
    pause = async () => {},
    fail = () => {},
  }: {
    sequences?: number;
    pause?: (signal: AbortSignal | undefined) => Promise<void>;
    fail?: (token: number) => void;
  } = {},
): Talker {
  const { model } = languageEngine(new Uint8Array(1), { context: 2 ** 30 });
  const own = new Sequences(sequences, true);
  return {
    model,
    sequences: own,
    taken: 0,
    generate(_prompt, { maxTokens = 1, signal } = {}) {
      const self = this as Talker;
      return (async function* () {
        const sequence = own.allocate();
        try {
          for (let i = 0; i < maxTokens; i++) {
            await pause(signal);
            await new Promise((resolve) => setImmediate(resolve));
            if (signal?.aborted) throw new UltramemError('aborted', 'generation was aborted', { cause: signal.reason });
            fail(i);
            self.taken++;
            yield { token: 1, text, finishReason: i === maxTokens - 1 ? 'length' : undefined };
          }
          return { text: '', tokens: [], finishReason: 'length' as const };
        } finally {
          own.free(sequence);
        }
      })();
    },
  };
}

/** A pause that lasts so many milliseconds, or until the signal. */
export const pauseOf = (milliseconds: number) => (signal: AbortSignal | undefined) =>
  sleep(milliseconds, undefined, signal === undefined ? {} : { signal }).catch(() => {});

export const post = (app: FastifyInstance, url: string, body: unknown) =>
  app.inject({ method: 'POST', url, headers: { 'content-type': 'application/json' }, payload: JSON.stringify(body) });

export const complete = (app: FastifyInstance, body: unknown) => post(app, '/v1/completions', body);

/** Values of the events of a whole stream, whose last is [DONE] where it did not fail. */
export function eventsOf(text: string): { events: Event[]; done: boolean } {
  assert.ok(text.endsWith('\n\n'), text.slice(-100));
  const datas = text
    .slice(0, -2)
    .split('\n\n')
    .map((event) => event.replace(/^data: /, ''));
  const done = datas.at(-1) === '[DONE]';
  return { events: (done ? datas.slice(0, -1) : datas).map((data) => JSON.parse(data) as Event), done };
}

export interface Event {
  readonly id: string;
  readonly object: string;
  readonly choices: readonly {
    readonly index: number;
    readonly text?: string;
    readonly delta?: { readonly role?: string; readonly content?: string };
    readonly finish_reason: string | null;
  }[];
  readonly usage?: unknown;
  readonly error?: unknown;
}

/** That a body is an error as clients know them. */
export function assertError(
  body: unknown,
  wanted: { code?: string; param?: string | null; message?: RegExp } = {},
): void {
  const { error } = body as { error: { message: string; type: string; param: string | null; code: string } };
  assert.equal(Object.keys(body as object), ['error']);
  assert.equal(Object.keys(error), ['message', 'type', 'param', 'code']);
  assert.type(error.message, 'string');
  assert.ok(['invalid_request_error', 'rate_limit_error', 'server_error'].includes(error.type), error.type);
  assert.ok(error.param === null || typeof error.param === 'string');
  assert.not.match(error.message, /\n\s+at /, 'no stack');
  if (wanted.code !== undefined) assert.is(error.code, wanted.code, error.message);
  if (wanted.param !== undefined) assert.is(error.param, wanted.param, error.message);
  if (wanted.message !== undefined) assert.match(error.message, wanted.message);
}

/** Waits until it holds. */
export async function until(holds: () => boolean, what: string, seconds = 10): Promise<void> {
  for (const end = performance.now() + 1000 * seconds; !holds(); ) {
    if (performance.now() > end) assert.unreachable(`${what}: not within ${seconds} s`);
    await sleep(2);
  }
}

/** That nothing is held for anybody any more. */
export const untilFree = ({ line, sequences, requests }: ServedModel): Promise<void> =>
  until(
    () =>
      line.running === 0 &&
      line.waiting === 0 &&
      requests.open === 0 &&
      Array.from({ length: sequences.count }, (_, i) => sequences.inUse(i)).every((inUse) => !inUse),
    'every sequence and every place in the line is free',
  );

/** Listens on a free port. */
export async function listen(app: FastifyInstance): Promise<{ url: string; port: number }> {
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  return { url, port: Number(new URL(url).port) };
}

/** A connection that sends a request as it stands and reads nothing until it is told to. */
export async function connection(port: number, text: string): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  await new Promise((resolve) => socket.once('connect', resolve));
  socket.write(text);
  return socket;
}

/** All that comes until the other side ends. */
export async function readAll(socket: Socket): Promise<string> {
  const pieces: Buffer[] = [];
  try {
    for await (const piece of socket) pieces.push(piece as Buffer);
  } catch {
    // Cut off: what came before counts.
  }
  return Buffer.concat(pieces).toString();
}

export function rawPost(body: unknown, url = '/v1/completions'): string {
  const text = JSON.stringify(body);
  return `POST ${url} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`;
}
