// The answer to a request, whole or as a stream of events: what both kinds of completions have in common.

import { randomUUID } from 'node:crypto';
import type { FastifyReply } from 'fastify';
import { ApiError, badRequest } from './api-error.ts';
import type { Choices } from './choices.ts';
import { sendEvents } from './events.ts';
import { generations, type Part } from './generations.ts';
import type { SamplingBody } from './schemas.ts';
import type { ServedModel } from './served-model.ts';

export type FinishReason = 'stop' | 'length';

/** How a kind of completions writes its choices. */
export interface Format {
  /** Begins ids. */
  readonly prefix: string;
  readonly object: string;
  readonly chunkObject: string;
  /** A choice of a whole answer. */
  whole(index: number, text: string, finishReason: FinishReason): object;
  /** Choices of the events that a part makes: none where it has nothing to tell. `first`: of its choice. */
  chunks(part: { index: number; text: string; finishReason: FinishReason | null; first: boolean }): readonly object[];
}

/** The context being full is a length, to clients. */
const finishReasonOf = ({ finishReason }: Part): FinishReason | null =>
  finishReason === undefined ? null : finishReason === 'stop' ? 'stop' : 'length';

/** @throws ApiError 404 model_not_found; 400 where stream_options comes without stream */
export function checkBody({ id }: ServedModel, { model, stream, stream_options }: SamplingBody): void {
  if (typeof model === 'string' && model !== id) {
    throw new ApiError(404, 'model_not_found', `there is no model ${JSON.stringify(model)} here, only ${id}`, {
      param: 'model',
    });
  }
  if (stream_options && !stream) {
    throw badRequest('invalid_value', 'stream_options is only for "stream": true', 'stream_options');
  }
}

/** Runs the choices and answers with what they say. */
export async function respond(
  served: ServedModel,
  reply: FastifyReply,
  { tokens, promptTokens }: Choices,
  { body, signal, format }: { body: SamplingBody; signal: AbortSignal; format: Format },
): Promise<unknown> {
  const head = { id: `${format.prefix}-${randomUUID()}`, created: Math.floor(Date.now() / 1000), model: served.id };
  const counted = { generated: 0 };
  const parts = counting(served, generations(served.line, tokens, signal), counted);
  const usage = () => ({
    prompt_tokens: promptTokens,
    completion_tokens: counted.generated,
    total_tokens: promptTokens + counted.generated,
  });
  if (body.stream) {
    const withUsage = body.stream_options?.include_usage === true;
    return sendEvents(
      reply,
      chunks(parts, { ...head, object: format.chunkObject }, format, withUsage ? usage : undefined),
    );
  }
  const texts = tokens.map(() => '');
  const reasons = tokens.map((): FinishReason => 'length');
  for await (const part of parts) {
    texts[part.choice] += part.text;
    reasons[part.choice] = finishReasonOf(part) ?? 'length';
  }
  const choices = texts.map((text, index) => format.whole(index, text, reasons[index]!));
  return { ...head, object: format.object, choices, usage: usage() };
}

async function* counting(
  { counts }: ServedModel,
  parts: AsyncGenerator<Part, void>,
  counted: { generated: number },
): AsyncGenerator<Part, void> {
  for await (const part of parts) {
    counted.generated++;
    counts.generatedTokens++;
    yield part;
  }
}

async function* chunks(
  parts: AsyncGenerator<Part, void>,
  head: object,
  format: Format,
  usage: (() => object) | undefined,
): AsyncGenerator<object, void> {
  const noUsage = usage === undefined ? {} : { usage: null };
  const begun = new Set<number>();
  for await (const part of parts) {
    const { choice: index, text } = part;
    const first = !begun.has(index);
    begun.add(index);
    for (const choice of format.chunks({ index, text, finishReason: finishReasonOf(part), first })) {
      yield { ...head, choices: [choice], ...noUsage };
    }
  }
  if (usage !== undefined) yield { ...head, choices: [], usage: usage() };
}
