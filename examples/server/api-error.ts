// Errors as clients of OpenAI's interface know them: a status, and {"error": {message, type, param, code}}.

import { UltramemError } from 'ultramem/runtime';

export interface ApiErrorOptions {
  /** The field of the body that is at fault. */
  readonly param?: string | undefined;
  /** Seconds after which to try again. */
  readonly retryAfter?: number | undefined;
  readonly cause?: unknown;
}

/** An answer that is an error. `statusCode` is what Fastify calls it. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly statusCode: number;
  readonly code: string;
  readonly param: string | undefined;
  readonly retryAfter: number | undefined;

  constructor(statusCode: number, code: string, message: string, options: ApiErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.statusCode = statusCode;
    this.code = code;
    this.param = options.param;
    this.retryAfter = options.retryAfter;
  }
}

export interface ErrorBody {
  readonly error: {
    readonly message: string;
    readonly type: string;
    readonly param: string | null;
    readonly code: string;
  };
}

/** What a client reads: never a stack. */
export const errorBody = ({ message, statusCode, param = undefined, code }: ApiError): ErrorBody => ({
  error: { message, type: typeOf(statusCode), param: param ?? null, code },
});

function typeOf(status: number): string {
  if (status === 429) return 'rate_limit_error';
  return status < 500 ? 'invalid_request_error' : 'server_error';
}

export const badRequest = (code: string, message: string, param?: string): ApiError =>
  new ApiError(400, code, message, { param });

/** Reasons to abort a request that has begun. */
export const clientGone = (): ApiError =>
  new ApiError(499, 'client_closed_request', 'the client closed the connection');

export const timedOut = (seconds: number): ApiError =>
  new ApiError(503, 'timeout', `the request was not answered within ${seconds} s; ask for fewer tokens, or try again`);

export const shuttingDown = (): ApiError =>
  new ApiError(503, 'shutting_down', 'the server is shutting down', { retryAfter: 5 });

/** Codes of ultramem that pass by themselves, with their status; what else an engine throws is a 500. */
const temporary: Readonly<Record<string, number>> = {
  aborted: 503,
  disposed: 503,
  'no-free-sequence': 503,
  'out-of-memory': 503,
};

/** An error that a prompt or an option caused, as the client's: with what ultramem says to do about it. */
export function refused(error: unknown, param: string): unknown {
  if (!(error instanceof UltramemError) || error.code in temporary) return error;
  const message = error.hint === undefined ? error.message : `${error.message}. ${error.hint}`;
  return new ApiError(400, error.code, message, { param, cause: error });
}

/** Any error as an answer. The words of those that nobody foresaw stay in the log. */
export function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof UltramemError) {
    const status = temporary[error.code];
    if (status !== undefined) return new ApiError(status, error.code, error.message, { retryAfter: 1, cause: error });
    return new ApiError(500, error.code, error.message, { cause: error });
  }
  const { statusCode = 500, code, message } = error as { statusCode?: number; code?: string; message?: string };
  const known = framework[code ?? ''];
  if (known !== undefined) return new ApiError(statusCode, known.code, known.message, { cause: error });
  if (statusCode >= 400 && statusCode < 500) {
    return new ApiError(statusCode, 'invalid_request', message ?? 'the request is not understood', { cause: error });
  }
  return new ApiError(500, 'internal_error', 'the server failed; its log says why', { cause: error });
}

/** Fastify's own errors in our words. */
const framework: Readonly<Record<string, { code: string; message: string }>> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: {
    code: 'unsupported_media_type',
    message: 'the body must be JSON: send Content-Type: application/json',
  },
  FST_ERR_CTP_EMPTY_JSON_BODY: { code: 'invalid_json', message: 'the body is empty; it must be a JSON object' },
  FST_ERR_CTP_INVALID_JSON_BODY: { code: 'invalid_json', message: 'the body is not valid JSON' },
  FST_ERR_CTP_BODY_TOO_LARGE: { code: 'body_too_large', message: 'the body is larger than the server takes' },
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: {
    code: 'invalid_content_length',
    message: 'the body is not as long as Content-Length says',
  },
  FST_ERR_BAD_URL: { code: 'invalid_url', message: 'the path of the URL is not valid' },
};
