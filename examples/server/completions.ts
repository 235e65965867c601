// POST /v1/completions: continues prompts.

import type { FastifyInstance } from 'fastify';
import type { GeneratedToken } from 'ultramem/runtime';
import { type Choices, choicesOf, type Prompt } from './choices.ts';
import type { Tokens } from './generations.ts';
import { checkBody, type Format, respond } from './respond.ts';
import { type CompletionBody, completionSchema } from './schemas.ts';
import type { ServedModel } from './served-model.ts';
import { refuseUnsupported, unsupportedInCompletions } from './unsupported.ts';

/** As OpenAI has it. */
const TOKENS_BY_DEFAULT = 16;

const format: Format = {
  prefix: 'cmpl',
  object: 'text_completion',
  chunkObject: 'text_completion',
  whole: (index, text, finishReason) => ({ index, text, logprobs: null, finish_reason: finishReason }),
  chunks: ({ index, text, finishReason }) =>
    text === '' && finishReason === null ? [] : [{ index, text, logprobs: null, finish_reason: finishReason }],
};

export function completions(app: FastifyInstance, served: ServedModel): void {
  app.post<{ Body: CompletionBody }>(
    '/v1/completions',
    { schema: { body: completionSchema } },
    async ({ body }, reply) => {
      refuseUnsupported(body, unsupportedInCompletions);
      checkBody(served, body);
      const signal = served.requests.begin(reply.raw);
      const stop = typeof body.stop === 'string' ? [body.stop] : (body.stop ?? []);
      const choices = choicesOf(served, {
        prompts: promptsOf(body.prompt),
        param: 'prompt',
        maxTokens: body.max_tokens ?? undefined,
        maxTokensByDefault: TOKENS_BY_DEFAULT,
        ...{ stop, body, signal },
      });
      return respond(served, reply, body.echo ? echoing(served, choices) : choices, { body, signal, format });
    },
  );
}

function promptsOf(prompt: CompletionBody['prompt']): readonly Prompt[] {
  if (typeof prompt === 'string') return [prompt];
  const isList = prompt.length > 0 && typeof prompt[0] !== 'number';
  return isList ? (prompt as readonly Prompt[]) : [prompt as readonly number[]];
}

const echoing = ({ tokenizer }: ServedModel, choices: Choices): Choices => ({
  ...choices,
  tokens: choices.tokens.map((tokens, i) => {
    const prompt = choices.prompts[i]!;
    return after(typeof prompt === 'string' ? prompt : tokenizer.decode(prompt), tokens);
  }),
});

/** The text of a generation behind its prompt. */
async function* after(prompt: string, tokens: Tokens): AsyncGenerator<GeneratedToken, void> {
  let before = prompt;
  for await (const token of tokens) {
    yield { ...token, text: before + token.text };
    before = '';
  }
}
