// Generation: a prompt's continuation in a session's batch, as tokens and text that a caller takes one by one.

import { ReadableStream, type ReadableStreamDefaultController } from 'node:stream/web';
import {
  aborted,
  optionInvalid,
  promptEmpty,
  promptTooLong,
  sequenceBusy,
  tokenOutOfRange,
} from '../support/errors/session.ts';
import { chooseTokenizer } from './choose-tokenizer.ts';
import type { ContinuousBatch } from './continuous-batch.ts';
import { boundOf, type ModelDescription } from './description.ts';
import { checkSampling, type SamplingOptions } from './sampling.ts';
import type { Sequences } from './sequences.ts';
import { createStopText } from './stop-text.ts';
import type { Tokenizer } from './tokenizer.ts';

export interface GenerateOptions extends SamplingOptions {
  /** Most tokens to generate; default: until the cache is full. */
  readonly maxTokens?: number;
  /** Strings that end generation; the text ends before them. */
  readonly stop?: string | readonly string[];
  /** Ids that end generation besides those of the tokenizer; they stand for no text. */
  readonly stopTokens?: readonly number[];
  readonly signal?: AbortSignal | undefined;
  /** Where all sequences of the session are in use: wait in line for one. Default false: the error no-free-sequence. */
  readonly wait?: boolean;
  /**
   * A sequence of your own (`session.sequences.allocate()`), which stays yours: tokens at the prompt's beginning that it holds already
   * are not run again. Give each turn of a conversation the whole text so far, and only what is new costs time. Default: a free one,
   * given back at the end.
   */
  readonly sequence?: number;
  /** In place of the model's own. */
  readonly tokenizer?: Tokenizer;
}

/** `stop`: a stop string or stop token; `length`: maxTokens; `context`: the cache is full. */
export type FinishReason = 'stop' | 'length' | 'context';

export interface GeneratedToken {
  readonly token: number;
  /** Text that became certain with this token: may be empty, or more than the token's own. */
  readonly text: string;
  /** Set on the last one. */
  readonly finishReason: FinishReason | undefined;
}

/** All of a generation. */
export interface Generation {
  readonly text: string;
  readonly tokens: readonly number[];
  readonly finishReason: FinishReason;
}

/** Tokens that wait at most for a caller that is busy; then its text waits as well. */
const readAhead = 2;

/** See Session.generate; checks at once, then runs when iterated. */
export function generateTokens(
  model: ModelDescription,
  batch: ContinuousBatch,
  sequences: Sequences,
  prompt: string | ArrayLike<number>,
  options: GenerateOptions,
): AsyncGenerator<GeneratedToken, Generation> {
  const tokenizer = chooseTokenizer(model, options.tokenizer);
  if (typeof prompt === 'string' && tokenizer === undefined) {
    throw optionInvalid('tokenizer', undefined, 'given for a prompt of text: the model states none');
  }
  const ids = typeof prompt === 'string' ? tokenizer!.encode(prompt) : Int32Array.from(prompt);
  const vocab = boundOf(model, 'ids');
  const context = boundOf(model, 'positions');
  if (ids.length === 0) throw promptEmpty();
  if (ids.length > context) throw promptTooLong(ids.length, context);
  const given: ArrayLike<number> = typeof prompt === 'string' ? ids : prompt;
  const bad = ids.findIndex((id, i) => id < 0 || id >= vocab || id !== given[i]);
  if (bad >= 0) throw tokenOutOfRange(bad, Number(given[bad]), vocab);
  const { maxTokens = Number.POSITIVE_INFINITY } = options;
  if (options.maxTokens !== undefined && !(Number.isSafeInteger(maxTokens) && maxTokens >= 1)) {
    throw optionInvalid('maxTokens', maxTokens, 'a positive integer');
  }
  const stops = typeof options.stop === 'string' ? [options.stop] : (options.stop ?? []);
  if (stops.includes('')) throw optionInvalid('stop', '""', 'no empty string');
  const sampling = checkSampling(options);
  return run();

  async function* run(): AsyncGenerator<GeneratedToken, Generation> {
    const { signal } = options;
    if (signal?.aborted) throw aborted('generation', signal.reason);
    const own = options.sequence;
    if (own !== undefined && batch.grows(own)) throw sequenceBusy(own);
    const sequence = own ?? (options.wait === true ? await sequences.acquire(signal) : sequences.allocate());
    const held = sequences.held(sequence, ids);
    const stopTokens = new Set([...(tokenizer?.eos ?? []), ...(options.stopTokens ?? [])]);
    const stream = tokenizer?.stream(ids);
    const stopText = createStopText(stops);
    const tokens: number[] = [];
    let whole = '';
    /** A chosen token as the caller sees it. */
    const shown = (token: number): GeneratedToken => {
      tokens.push(token);
      const ended = stopTokens.has(token);
      let { text, stopped } = stopText.push(ended ? '' : (stream?.push(token) ?? ''));
      const finishReason = stopped || ended ? 'stop' : fullness(tokens.length);
      if (finishReason !== undefined && !stopped) {
        const last = stopText.push(stream?.end() ?? '');
        text += last.text + (last.stopped ? '' : stopText.end());
      }
      whole += text;
      return { token, text, finishReason };
    };
    let out!: ReadableStreamDefaultController<GeneratedToken>;
    const start = (controller: typeof out) => {
      out = controller;
    };
    const parts = new ReadableStream<GeneratedToken>(
      { start, pull: () => place.resume() },
      { highWaterMark: readAhead },
    );
    const place = batch.add({
      ...{ ids: ids.subarray(held), position: held, sequence, sampling },
      take(token) {
        const part = shown(token);
        out.enqueue(part);
        return part.finishReason !== undefined ? 'end' : out.desiredSize! > 0 ? 'go' : 'hold';
      },
      fail: (error) => out.error(error),
    });
    const abort = () => {
      out.error(aborted('generation', signal?.reason));
      void place.leave();
    };
    signal?.addEventListener('abort', abort);
    try {
      const reader = parts.getReader();
      for (;;) {
        const { value } = await reader.read();
        yield value!;
        const { finishReason } = value!;
        if (finishReason !== undefined) return { text: whole, tokens, finishReason };
      }
    } finally {
      signal?.removeEventListener('abort', abort);
      await place.leave();
      if (own === undefined) sequences.free(sequence);
    }
  }

  function fullness(count: number): FinishReason | undefined {
    if (count >= maxTokens) return 'length';
    return ids.length + count > context ? 'context' : undefined;
  }
}
