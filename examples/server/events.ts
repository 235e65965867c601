// Server-sent events, as fast as the client reads them.

import { finished, Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import { errorBody, toApiError } from './api-error.ts';

/** Bytes of events that may wait for a slow reader, beside those in the buffers of the connection. */
const AHEAD = 4096;

export const event = (data: unknown): string => `data: ${JSON.stringify(data)}\n\n`;
const done = 'data: [DONE]\n\n';

/**
 * Sends each value as an event, then [DONE]; an error after the first value as an event of its own, in place of [DONE].
 * The head goes out with the first value: what fails before it is thrown, to be answered with its status.
 */
export async function sendEvents(reply: FastifyReply, values: AsyncGenerator<unknown, void>): Promise<FastifyReply> {
  // A client that goes away before anything was sent leaves the generator where it stands; this ends it.
  finished(reply.raw, () => void values.return().catch(() => {}));
  const first = await values.next();
  const events = async function* (): AsyncGenerator<string, void> {
    try {
      if (!first.done) yield event(first.value);
      for await (const value of values) yield event(value);
      yield done;
    } catch (error) {
      const answer = toApiError(error);
      if (answer.statusCode >= 500)
        reply.log.error({ err: answer.cause ?? answer, code: answer.code }, 'stream failed');
      yield event(errorBody(answer));
    }
  };
  reply.headers({
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-cache',
    'x-accel-buffering': 'no', // proxies pass events on one by one
  });
  return reply.send(Readable.from(events(), { objectMode: false, highWaterMark: AHEAD }));
}
