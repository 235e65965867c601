// What the routes know: the model, what it may be asked for, and who is asking.

import { chooseTokenizer, isLanguageModel, type Session, type Tokenizer } from 'ultramem/runtime';
import { Line } from './line.ts';
import { Requests } from './requests.ts';

/** What the server needs of a session. */
export type ServedSession = Pick<Session, 'generate' | 'model' | 'sequences'>;

export interface ServedOptions {
  /** What requests call the model; default: its own name. */
  readonly id?: string;
  /** In place of the model's own. */
  readonly tokenizer?: Tokenizer;
  /** Most tokens that a request may ask for, per choice; default: as many as the context has. */
  readonly maxTokens?: number;
  /** Generations that may wait while all sequences are in use. Default 64. */
  readonly maxWaiting?: number;
  /** Seconds that a request may take, waiting included. Default 120. */
  readonly timeout?: number;
}

export interface ServedModel {
  readonly id: string;
  /** Seconds since 1970. */
  readonly created: number;
  readonly session: ServedSession;
  readonly sequences: NonNullable<Session['sequences']>;
  readonly tokenizer: Tokenizer;
  /** Tokens of a prompt and its answer together. */
  readonly context: number;
  readonly maxTokens: number;
  /** Choices of one request. */
  readonly maxChoices: number;
  readonly line: Line;
  readonly requests: Requests;
  /** Counted since the start. */
  readonly counts: { generatedTokens: number; readonly statuses: Map<number, number> };
}

/** Of one request, however long the line is. */
const MOST_CHOICES = 16;

/** @throws Error where the model is no language model, or states no tokenizer and none is given */
export function serve(session: ServedSession, options: ServedOptions = {}): ServedModel {
  const { model, sequences } = session;
  const context = model.inputs.find(({ name }) => name === 'positions')?.below;
  if (!isLanguageModel(model) || sequences === undefined || typeof context !== 'number') {
    throw new Error(
      `${model.name} is not a language model: it takes no ids, positions and sequence, or gives no logits`,
    );
  }
  const tokenizer = chooseTokenizer(model, options.tokenizer);
  if (tokenizer === undefined) throw new Error(`${model.name} states no tokenizer: give one with --tokenizer`);
  const line = new Line(sequences.count, options.maxWaiting ?? 64);
  return {
    id: options.id ?? model.name,
    created: Math.floor(Date.now() / 1000),
    session,
    sequences,
    tokenizer,
    context,
    maxTokens: Math.min(options.maxTokens ?? context, context),
    maxChoices: Math.min(MOST_CHOICES, line.slots + line.mostWaiting),
    line,
    requests: new Requests(options.timeout ?? 120),
    counts: { generatedTokens: 0, statuses: new Map() },
  };
}

/** Sequences of the session that hold something. */
export function sequencesInUse({ sequences }: Pick<ServedModel, 'sequences'>): number {
  let inUse = 0;
  for (let i = 0; i < sequences.count; i++) if (sequences.inUse(i)) inUse++;
  return inUse;
}
