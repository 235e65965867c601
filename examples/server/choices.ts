// Prompts and fields of a body → generations, checked against what the model and the server allow before any of them waits.

import { badRequest, refused } from './api-error.ts';
import type { Tokens } from './generations.ts';
import type { SamplingBody } from './schemas.ts';
import type { ServedModel } from './served-model.ts';

/** A prompt as the body has it: text, or ids as they are. */
export type Prompt = string | readonly number[];

/** What the choices of a request have in common. */
export interface Wanted {
  readonly prompts: readonly Prompt[];
  /** The field that the prompts come from, for errors. */
  readonly param: string;
  readonly maxTokens: number | undefined;
  /** Where the body does not say: tokens at most; fewer where the context has no room. */
  readonly maxTokensByDefault: number;
  readonly stop: readonly string[];
  readonly body: SamplingBody;
  readonly signal: AbortSignal;
}

export interface Choices {
  /** For each prompt in turn, `n` generations. */
  readonly tokens: readonly Tokens[];
  /** The prompt of each, as text is told back. */
  readonly prompts: readonly Prompt[];
  /** Of every prompt once. */
  readonly promptTokens: number;
}

/** @throws ApiError 400: too many choices or tokens, text that is no Unicode, and what `generate` refuses */
export function choicesOf(served: ServedModel, wanted: Wanted): Choices {
  const { prompts, body, signal, stop, param } = wanted;
  const n = body.n ?? 1;
  if (prompts.length * n > served.maxChoices) {
    const message = `${prompts.length} prompts with n = ${n} ask for ${prompts.length * n} choices; at most ${served.maxChoices} are given`;
    throw badRequest('too_many_choices', message, n > 1 ? 'n' : param);
  }
  for (const text of stop) checkUnicode(text, 'stop');
  const tokens: Tokens[] = [];
  const told: Prompt[] = [];
  let promptTokens = 0;
  for (const prompt of prompts) {
    const ids = typeof prompt === 'string' ? encode(served, prompt, param) : prompt;
    promptTokens += ids.length;
    const maxTokens = tokenLimit(served, ids.length, wanted);
    for (let i = 0; i < n; i++) {
      const options = {
        ...{ maxTokens, stop, signal, tokenizer: served.tokenizer },
        ...{ temperature: body.temperature ?? 1, topP: body.top_p ?? 1 },
        ...(typeof body.top_k === 'number' && { topK: body.top_k }),
        ...(typeof body.seed === 'number' && { seed: seedOf(body.seed, tokens.length) }),
      };
      try {
        tokens.push(served.session.generate(ids, options));
      } catch (error) {
        throw refused(error, param);
      }
      told.push(prompt);
    }
  }
  return { tokens, prompts: told, promptTokens };
}

/** Choices of one seed differ, and are the same each time. */
const seedOf = (seed: number, choice: number): number => (seed + choice) % Number.MAX_SAFE_INTEGER;

function encode({ tokenizer }: ServedModel, text: string, param: string): ArrayLike<number> {
  checkUnicode(text, param);
  try {
    return tokenizer.encode(text);
  } catch (error) {
    throw refused(error, param);
  }
}

/** JSON can spell half a character, which no tokenizer can read. */
function checkUnicode(text: string, param: string): void {
  const at = text.search(/\p{Surrogate}/u);
  if (at >= 0) throw badRequest('invalid_unicode', `${param} has half a character (a lone surrogate) at ${at}`, param);
}

/** Tokens that a choice may take. */
function tokenLimit(
  served: ServedModel,
  promptTokens: number,
  { maxTokens, maxTokensByDefault, param }: Wanted,
): number {
  const { context } = served;
  if (maxTokens !== undefined && maxTokens > served.maxTokens) {
    const message = `max_tokens is ${maxTokens}; this server gives at most ${served.maxTokens}`;
    throw badRequest('max_tokens_too_large', message, 'max_tokens');
  }
  const room = context - promptTokens;
  if (room < 1) {
    const message = `the prompt has ${promptTokens} tokens, which leaves none of the context's ${context} for an answer`;
    throw badRequest('context_length_exceeded', message, param);
  }
  if (maxTokens !== undefined && room < maxTokens) {
    const message = `the prompt has ${promptTokens} tokens and max_tokens is ${maxTokens}: ${promptTokens + maxTokens} together, but the context has ${context}`;
    throw badRequest('context_length_exceeded', message, 'max_tokens');
  }
  return maxTokens ?? Math.min(maxTokensByDefault, served.maxTokens, room);
}
