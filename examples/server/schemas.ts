// Bodies of requests. `description` ends the sentence "<field> must be …" of the error that a wrong value gets.

/** Fields that both kinds of completions know. */
export interface SamplingBody {
  readonly model?: string | null;
  readonly n?: number | null;
  readonly max_tokens?: number | null;
  readonly temperature?: number | null;
  readonly top_p?: number | null;
  readonly top_k?: number | null;
  readonly seed?: number | null;
  readonly stop?: string | readonly string[] | null;
  readonly stream?: boolean | null;
  readonly stream_options?: { readonly include_usage?: boolean | null } | null;
}

export interface CompletionBody extends SamplingBody {
  readonly prompt: string | readonly string[] | readonly number[] | readonly (readonly number[])[];
  readonly echo?: boolean | null;
}

export interface Message {
  readonly role: 'system' | 'developer' | 'user' | 'assistant';
  readonly content: string | readonly { readonly type: 'text'; readonly text: string }[];
}

export interface ChatBody extends SamplingBody {
  readonly messages: readonly Message[];
  readonly max_completion_tokens?: number | null;
}

const boolean = { type: ['boolean', 'null'], description: 'true or false' };
const ids = { type: 'array', items: { type: 'integer', minimum: 0 } };
const stopText = { type: 'string', minLength: 1, maxLength: 256 };
const tokenCount = { type: ['integer', 'null'], minimum: 1, description: 'a whole number from 1' };

const sampling = {
  model: { type: ['string', 'null'], description: 'the name of the model' },
  n: { type: ['integer', 'null'], minimum: 1, description: 'a whole number from 1' },
  max_tokens: tokenCount,
  temperature: { type: ['number', 'null'], minimum: 0, maximum: 2, description: 'a number from 0 to 2' },
  top_p: { type: ['number', 'null'], exclusiveMinimum: 0, maximum: 1, description: 'a number above 0 and at most 1' },
  top_k: {
    type: ['integer', 'null'],
    minimum: 1,
    maximum: Number.MAX_SAFE_INTEGER,
    description: 'a whole number from 1',
  },
  seed: {
    type: ['integer', 'null'],
    minimum: 0,
    maximum: Number.MAX_SAFE_INTEGER,
    description: 'a whole number from 0 to 2^53 - 1',
  },
  stop: {
    anyOf: [{ type: 'null' }, stopText, { type: 'array', items: stopText, maxItems: 4 }],
    description: 'a string of 1 to 256 characters, or up to four of them',
  },
  stream: boolean,
  stream_options: {
    type: ['object', 'null'],
    properties: { include_usage: boolean },
    description: 'an object such as {"include_usage": true}',
  },
};

export const completionSchema = {
  type: 'object',
  required: ['prompt'],
  properties: {
    ...sampling,
    prompt: {
      anyOf: [{ type: 'string' }, { type: 'array', items: { type: 'string' } }, ids, { type: 'array', items: ids }],
      description: 'a string, an array of strings, an array of token ids, or an array of such arrays',
    },
    echo: boolean,
  },
};

export const chatSchema = {
  type: 'object',
  required: ['messages'],
  properties: {
    ...sampling,
    max_completion_tokens: tokenCount,
    messages: {
      type: 'array',
      minItems: 1,
      maxItems: 1024,
      description: 'an array of 1 to 1024 messages {"role": …, "content": …}',
      items: {
        type: 'object',
        required: ['role', 'content'],
        description: 'a message {"role": …, "content": …}',
        properties: {
          role: {
            enum: ['system', 'developer', 'user', 'assistant'],
            description: '"system", "developer", "user" or "assistant"',
          },
          content: {
            anyOf: [
              { type: 'string' },
              {
                type: 'array',
                items: {
                  type: 'object',
                  required: ['type', 'text'],
                  properties: { type: { const: 'text' }, text: { type: 'string' } },
                },
              },
            ],
            description: 'a string, or an array of parts {"type": "text", "text": …}: the model reads nothing but text',
          },
        },
      },
    },
  },
};
