// POST /v1/chat/completions: messages → text by a plain template, since a base model knows none of its own.
//
//   System: <content>
//   User: <content>
//   Assistant: <content>
//   User: <content>
//   Assistant:
//
// The answer ends where the model begins another turn; the space behind `Assistant:` is not part of it.

import type { FastifyInstance } from 'fastify';
import type { GeneratedToken } from 'ultramem/runtime';
import { badRequest } from './api-error.ts';
import { choicesOf } from './choices.ts';
import type { Tokens } from './generations.ts';
import { checkBody, type Format, respond } from './respond.ts';
import { type ChatBody, chatSchema, type Message } from './schemas.ts';
import type { ServedModel } from './served-model.ts';
import { refuseUnsupported, unsupportedInChat } from './unsupported.ts';

const speakers = { system: 'System', developer: 'System', user: 'User', assistant: 'Assistant' } as const;
const turns = ['\nSystem:', '\nUser:', '\nAssistant:'];

const format: Format = {
  prefix: 'chatcmpl',
  object: 'chat.completion',
  chunkObject: 'chat.completion.chunk',
  whole: (index, content, finishReason) => ({
    index,
    message: { role: 'assistant', content, refusal: null },
    logprobs: null,
    finish_reason: finishReason,
  }),
  chunks({ index, text, finishReason, first }) {
    const chunk = (delta: object, reason: typeof finishReason = null) => ({
      ...{ index, delta, logprobs: null },
      finish_reason: reason,
    });
    return [
      ...(first ? [chunk({ role: 'assistant', content: '' })] : []),
      ...(text === '' ? [] : [chunk({ content: text })]),
      ...(finishReason === null ? [] : [chunk({}, finishReason)]),
    ];
  },
};

export function chat(app: FastifyInstance, served: ServedModel): void {
  app.post<{ Body: ChatBody }>('/v1/chat/completions', { schema: { body: chatSchema } }, async ({ body }, reply) => {
    refuseUnsupported(body, unsupportedInChat);
    checkBody(served, body);
    const { max_tokens: older, max_completion_tokens: newer, stop } = body;
    if (older && newer && older !== newer) {
      throw badRequest('invalid_value', 'max_tokens and max_completion_tokens say different things', 'max_tokens');
    }
    const signal = served.requests.begin(reply.raw);
    const choices = choicesOf(served, {
      prompts: [chatPrompt(body.messages)],
      param: 'messages',
      maxTokens: newer ?? older ?? undefined,
      maxTokensByDefault: served.context,
      stop: [...turns, ...(typeof stop === 'string' ? [stop] : (stop ?? []))],
      ...{ body, signal },
    });
    const tokens = choices.tokens.map(withoutSpaceBefore);
    return respond(served, reply, { ...choices, tokens }, { body, signal, format });
  });
}

/** What the model continues. */
export const chatPrompt = (messages: readonly Message[]): string =>
  `${messages.map(({ role, content }) => `${speakers[role]}: ${textOf(content)}\n`).join('')}Assistant:`;

const textOf = (content: Message['content']): string =>
  typeof content === 'string' ? content : content.map(({ text }) => text).join('');

async function* withoutSpaceBefore(tokens: Tokens): AsyncGenerator<GeneratedToken, void> {
  let begun = false;
  for await (const token of tokens) {
    const text: string = begun ? token.text : token.text.trimStart();
    begun ||= text !== '';
    yield { ...token, text };
  }
}
