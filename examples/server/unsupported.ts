// Fields that would change the answer and that this server does not know how to heed: refused, unless they ask for nothing.

import { badRequest } from './api-error.ts';

/** Field → values that ask for nothing; null and absence never do. */
type Unsupported = Readonly<Record<string, readonly unknown[]>>;

const both: Unsupported = {
  frequency_penalty: [0],
  logit_bias: [{}],
  min_p: [0],
  presence_penalty: [0],
  repetition_penalty: [1],
};

export const unsupportedInCompletions: Unsupported = { ...both, best_of: [1], logprobs: [], suffix: [''] };

export const unsupportedInChat: Unsupported = {
  ...both,
  audio: [],
  function_call: ['none', 'auto'],
  functions: [[]],
  logprobs: [false],
  modalities: [['text']],
  response_format: [{ type: 'text' }],
  tool_choice: ['none', 'auto'],
  tools: [[]],
  top_logprobs: [0],
  web_search_options: [],
};

/** @throws ApiError 400 unsupported_parameter */
export function refuseUnsupported(body: object, unsupported: Unsupported): void {
  for (const [field, harmless] of Object.entries(unsupported)) {
    if (!Object.hasOwn(body, field)) continue;
    const value = (body as Readonly<Record<string, unknown>>)[field];
    if (value === null || value === undefined) continue;
    const text = JSON.stringify(value);
    if (harmless.some((one) => JSON.stringify(one) === text)) continue;
    throw badRequest('unsupported_parameter', `${field} is not supported by this server; leave it out`, field);
  }
}
