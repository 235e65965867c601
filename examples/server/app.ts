// The server as a function of a model: routes, limits of what comes in, and one shape for everything that goes wrong.

import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import Fastify, { type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { ApiError, errorBody, toApiError } from './api-error.ts';
import { chat } from './chat.ts';
import { completions } from './completions.ts';
import type { ServedModel } from './served-model.ts';
import { status } from './status.ts';
import { type SchemaFault, validationError } from './validation.ts';

export interface AppOptions {
  /** Bytes of a body at most. Default 1 MiB. */
  readonly bodyLimit?: number;
  /** Seconds for the head of a request, and for all of it. Default 10 and 30. */
  readonly headTimeout?: number;
  readonly bodyTimeout?: number;
  /** Connections at once at most. Default 1024. */
  readonly maxConnections?: number;
  /** Lowest level that is logged, to stderr; default: nothing is. What prompts and answers say is never logged. */
  readonly logLevel?: string | undefined;
}

/** A server that is not listening yet. */
export function createApp(served: ServedModel, options: AppOptions = {}): FastifyInstance {
  const { bodyLimit = 2 ** 20, headTimeout = 10, bodyTimeout = 30, maxConnections = 1024, logLevel } = options;
  const app: FastifyInstance = Fastify({
    logger: logLevel === undefined ? false : { level: logLevel, stream: process.stderr },
    bodyLimit,
    requestTimeout: 1000 * bodyTimeout,
    http: { headersTimeout: 1000 * headTimeout, connectionsCheckingInterval: 500 * Math.min(headTimeout, bodyTimeout) },
    return503OnClosing: false, // requests are refused from the first signal on, in the shape of all errors
    requestIdHeader: false, // ids of requests are ours, since they go to the log
    genReqId: () => randomUUID(),
    // Values are what they are: "1" is no number, and nothing is filled in or left out.
    ajv: {
      customOptions: {
        ...{ coerceTypes: false, useDefaults: false, removeAdditional: false },
        ...{ allowUnionTypes: true, verbose: true },
      },
    },
    schemaErrorFormatter: (faults) => validationError(faults as readonly SchemaFault[]),
    frameworkErrors: (error, request, reply) => void answerError(error, request, reply),
    clientErrorHandler: answerUnreadable,
  });
  app.server.maxConnections = maxConnections;

  app.removeAllContentTypeParsers();
  const parseJson = app.getDefaultJsonParser('error', 'error');
  app.addContentTypeParser<Buffer>('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    let text: string;
    try {
      text = new TextDecoder('utf-8', { fatal: true }).decode(body);
    } catch (cause) {
      return done(new ApiError(400, 'invalid_json', 'the body is not valid UTF-8', { cause }));
    }
    return parseJson(request, text, done);
  });

  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id);
    if (served.requests.draining) reply.header('connection', 'close');
  });
  app.addHook('onResponse', async (_, reply) => {
    const { statuses } = served.counts;
    statuses.set(reply.statusCode, (statuses.get(reply.statusCode) ?? 0) + 1);
  });
  app.setErrorHandler(answerError);
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?', 1)[0]!;
    return answerError(new ApiError(404, 'not_found', `there is no ${request.method} ${path}`), request, reply);
  });

  completions(app, served);
  chat(app, served);
  status(app, served);
  return app;
}

function answerError(error: FastifyError | Error, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const answer = toApiError(error);
  if (answer.statusCode >= 500) request.log.error({ err: answer.cause ?? answer, code: answer.code }, 'request failed');
  if (answer.retryAfter !== undefined) reply.header('retry-after', answer.retryAfter);
  return reply.code(answer.statusCode).send(errorBody(answer));
}

/** What is no HTTP never becomes a request. */
function answerUnreadable(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy();
  const [statusLine, code, message] = unreadable[error.code ?? ''] ?? unreadable.other!;
  const body = JSON.stringify(errorBody(new ApiError(Number.parseInt(statusLine, 10), code, message)));
  socket.end(
    `HTTP/1.1 ${statusLine}\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}

const unreadable: Readonly<Record<string, readonly [statusLine: string, code: string, message: string]>> = {
  HPE_HEADER_OVERFLOW: [
    '431 Request Header Fields Too Large',
    'headers_too_large',
    'the head of the request is too large',
  ],
  ERR_HTTP_REQUEST_TIMEOUT: ['408 Request Timeout', 'request_timeout', 'the request did not arrive in time'],
  other: ['400 Bad Request', 'invalid_http', 'the request is not valid HTTP'],
};
