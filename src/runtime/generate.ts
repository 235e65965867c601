// Generation: prefill in chunks, then one token after another.

import { aborted, optionInvalid, promptEmpty, promptTooLong, tokenOutOfRange } from '../support/errors/session.ts';
import { chooseTokenizer } from './choose-tokenizer.ts';
import type { ModelDescription } from './description.ts';
import type { CallOptions } from './engine.ts';
import { type Choice, checkSampling, type Sampling, type SamplingOptions } from './sampling.ts';
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

/** What generation needs of a session. */
interface Steps {
  readonly model: ModelDescription;
  sample(inputs: Record<string, Int32Array>, choices: readonly Choice[], options: CallOptions): Promise<Int32Array>;
}

/** See Session.generate; checks at once, then runs when iterated. */
export function generateTokens(
  steps: Steps,
  sequences: Sequences,
  prompt: string | ArrayLike<number>,
  options: GenerateOptions,
): AsyncGenerator<GeneratedToken, Generation> {
  const { model } = steps;
  const tokenizer = chooseTokenizer(model, options.tokenizer);
  if (typeof prompt === 'string' && tokenizer === undefined) {
    throw optionInvalid('tokenizer', undefined, 'given for a prompt of text: the model states none');
  }
  const ids = typeof prompt === 'string' ? tokenizer!.encode(prompt) : Int32Array.from(prompt);
  const vocab = bound(model, 'ids');
  const context = bound(model, 'positions');
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
    const stopTokens = new Set([...(tokenizer?.eos ?? []), ...(options.stopTokens ?? [])]);
    const stream = tokenizer?.stream(ids);
    const stopText = createStopText(stops);
    const tokens: number[] = [];
    let whole = '';
    const sequence = sequences.allocate();
    try {
      let token = await prefill(steps, ids, sequence, sampling, signal);
      for (;;) {
        tokens.push(token);
        const ended = stopTokens.has(token);
        let { text, stopped } = stopText.push(ended ? '' : (stream?.push(token) ?? ''));
        const finishReason = stopped || ended ? 'stop' : fullness(tokens.length);
        if (finishReason !== undefined && !stopped) {
          const last = stopText.push(stream?.end() ?? '');
          text += last.text + (last.stopped ? '' : stopText.end());
        }
        whole += text;
        yield { token, text, finishReason };
        if (finishReason !== undefined) return { text: whole, tokens, finishReason };
        if (signal?.aborted) throw aborted('generation', signal.reason);
        const choices = [{ row: 0, index: tokens.length, sampling }];
        const position = ids.length + tokens.length - 1;
        token = (await step(steps, Int32Array.of(token), sequence, position, choices, signal))[0]!;
      }
    } finally {
      sequences.free(sequence);
    }
  }

  function fullness(count: number): FinishReason | undefined {
    if (count >= maxTokens) return 'length';
    return ids.length + count > context ? 'context' : undefined;
  }
}

/** A step gives logits of all its tokens; of this many at most (64 MiB) when only the last row is wanted. */
const mostLogits = 2 ** 24;

/** Runs the prompt in the largest steps that the model takes; the first token behind it. */
async function prefill(
  steps: Steps,
  ids: Int32Array,
  sequence: number,
  sampling: Sampling,
  signal: AbortSignal | undefined,
): Promise<number> {
  const bound = steps.model.symbols.find(({ scope }) => scope === 'step')?.bound ?? 1;
  const vocab = steps.model.outputs.find(({ name }) => name === 'logits')?.shape[1] as number;
  const most = Math.max(1, Math.min(bound, Math.floor(mostLogits / vocab)));
  for (let at = 0; ; at += most) {
    const piece = ids.subarray(at, at + most);
    const isLast = at + most >= ids.length;
    const choices = isLast ? [{ row: piece.length - 1, index: 0, sampling }] : [];
    const [token] = await step(steps, piece, sequence, at, choices, signal);
    if (isLast) return token!;
  }
}

/** One step of a sequence's next tokens from position `start`; the tokens that are chosen behind them. */
async function step(
  steps: Steps,
  ids: Int32Array,
  sequence: number,
  start: number,
  choices: readonly Choice[],
  signal: AbortSignal | undefined,
): Promise<Int32Array> {
  const positions = ids.map((_, i) => start + i);
  return steps.sample({ ids, positions, sequence: ids.map(() => sequence) }, choices, { signal });
}

/** The exclusive bound of an input's elements. */
function bound(model: ModelDescription, input: string): number {
  const below = model.inputs.find(({ name }) => name === input)?.below;
  return typeof below === 'number' ? below : Number.POSITIVE_INFINITY;
}
