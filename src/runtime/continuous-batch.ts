// Texts that grow side by side: every step runs what all of them wait for, a token of each and a piece of those prompts that have
// not been read yet. A text joins at the next step and leaves at any moment; the others go on.

import { UltramemError } from '../support/errors.ts';
import { type ModelDescription, mostTokens } from './description.ts';
import type { CallOptions } from './engine.ts';
import type { Choice, Sampling } from './sampling.ts';

export interface BatchOptions {
  /**
   * Tokens of prompts in a step that also continues other texts, at most; default 64. Of more, a prompt's first token comes sooner;
   * of fewer, the others are held up less by it.
   */
  readonly promptTokens?: number | undefined;
  /**
   * False: a step continues one text alone, and they take turns. Slower; the logits of a text then do not differ in their last bits
   * with what else runs. Default true.
   */
  readonly shareSteps?: boolean | undefined;
}

/** What steps are run with. */
export interface BatchSteps {
  readonly model: ModelDescription;
  sample(inputs: Record<string, Int32Array>, choices: readonly Choice[], options: CallOptions): Promise<Int32Array>;
}

/** A text to continue. */
export interface GrowingText {
  /** What of it no step has seen: one token at least. */
  readonly ids: Int32Array;
  readonly sequence: number;
  /** Of the first id: what stands before it the sequence holds. */
  readonly position: number;
  readonly sampling: Sampling;
  /** Hears each token that is chosen, and says whether to go on, to wait until `resume`, or that it was the last. */
  take(token: number): 'go' | 'hold' | 'end';
  /** A step that it was in failed; it is in the batch no more. */
  fail(error: unknown): void;
}

/** A text's place in the batch. */
export interface Place {
  /** After `hold`. Does nothing otherwise. */
  resume(): void;
  /** Takes it out. Resolves when no step runs on its sequence any more. Safe twice. */
  leave(): Promise<void>;
}

interface Member {
  readonly text: GrowingText;
  /** Tokens that no step has seen: the rest of the prompt, or the token chosen last. */
  pending: Int32Array;
  /** Of the first pending token. */
  position: number;
  /** Tokens chosen so far. */
  chosen: number;
  held: boolean;
}

/** So many of a member's pending tokens go into a step. */
interface Share {
  readonly member: Member;
  readonly count: number;
}

/** A step gives logits of all its tokens: of this many numbers at most (64 MiB). */
const mostLogits = 2 ** 24;

export class ContinuousBatch {
  readonly #steps: BatchSteps;
  /** In the order in which they are served. */
  readonly #members = new Set<Member>();
  /** Tokens of a step at most. */
  readonly #most: number;
  readonly #promptTokens: number;
  readonly #shareSteps: boolean;
  /** The step that runs, and who is in it. */
  #running: { readonly shares: readonly Share[]; readonly done: Promise<void> } | undefined;
  /** Ends the step that runs. The same one for step after step, as making one takes a tenth of a short step. */
  #abort = new AbortController();
  #woken = false;

  constructor(steps: BatchSteps, { promptTokens = 64, shareSteps = true }: BatchOptions) {
    const vocab = steps.model.outputs.find(({ name }) => name === 'logits')?.shape[1];
    this.#steps = steps;
    this.#most = Math.max(1, Math.min(mostTokens(steps.model), Math.floor(mostLogits / Number(vocab))));
    this.#promptTokens = promptTokens;
    this.#shareSteps = shareSteps;
  }

  add(text: GrowingText): Place {
    const member: Member = { text, pending: text.ids, position: text.position, chosen: 0, held: false };
    this.#members.add(member);
    this.#wake();
    return {
      resume: () => {
        if (!member.held) return;
        member.held = false;
        this.#wake();
      },
      leave: async () => {
        this.#members.delete(member);
        const running = this.#running;
        if (!running?.shares.some((share) => share.member === member)) return;
        if (running.shares.every((share) => !this.#members.has(share.member))) this.#abort.abort();
        await running.done;
      },
    };
  }

  /** Whether some text grows in a sequence, or a step still runs on it. */
  grows(sequence: number): boolean {
    const running = this.#running?.shares.map(({ member }) => member) ?? [];
    return [...this.#members, ...running].some(({ text }) => text.sequence === sequence);
  }

  /** Begins a step when all that is to be said in this turn of the event loop has been: calls made together start together. */
  #wake(): void {
    if (this.#woken || this.#running !== undefined) return;
    this.#woken = true;
    queueMicrotask(() => {
      this.#woken = false;
      this.#begin();
    });
  }

  #begin(): void {
    const shares = this.#next();
    if (shares.length === 0) return;
    if (this.#abort.signal.aborted) this.#abort = new AbortController();
    const done = this.#step(shares, this.#abort.signal).then(() => {
      this.#running = undefined;
      this.#begin(); // at once: those who hear their token do so while the next step runs
    });
    this.#running = { shares, done };
  }

  /** Who is served next: a token of every text that grows, then prompts in the order they came. */
  #next(): Share[] {
    const ready = [...this.#members].filter(({ held }) => !held);
    if (!this.#shareSteps) {
      const [first] = ready;
      if (first === undefined) return [];
      this.#toTheEnd(first);
      return [share(first, this.#most)];
    }
    const growing = ready.filter(({ pending }) => pending.length === 1).slice(0, this.#most);
    const shares = growing.map((member) => share(member, 1));
    let room = Math.min(this.#most - shares.length, growing.length === 0 ? this.#most : this.#promptTokens);
    for (const member of ready) {
      if (member.pending.length === 1 || room <= 0) continue;
      const piece = share(member, room);
      room -= piece.count;
      shares.push(piece);
    }
    // Those who got their token stand last: where there are more than a step takes, they take turns.
    for (const member of growing) this.#toTheEnd(member);
    return shares;
  }

  #toTheEnd(member: Member): void {
    this.#members.delete(member);
    this.#members.add(member);
  }

  /** Runs a step and tells its members; never rejects. */
  async #step(shares: readonly Share[], signal: AbortSignal): Promise<void> {
    const tokens = shares.reduce((sum, { count }) => sum + count, 0);
    const [ids, positions, sequence] = [new Int32Array(tokens), new Int32Array(tokens), new Int32Array(tokens)];
    const choices: Choice[] = [];
    const chosenFor: Member[] = [];
    let row = 0;
    for (const { member, count } of shares) {
      const { text, pending, position, chosen } = member;
      ids.set(pending.subarray(0, count), row);
      for (let i = 0; i < count; i++) positions[row + i] = position + i;
      sequence.fill(text.sequence, row, row + count);
      row += count;
      if (count < pending.length) continue;
      choices.push({ row: row - 1, index: chosen, sampling: text.sampling });
      chosenFor.push(member);
    }
    let chosen: Int32Array;
    try {
      chosen = await this.#steps.sample({ ids, positions, sequence }, choices, { signal });
    } catch (error) {
      const refused = refusedSequence(error);
      for (const { member } of shares) {
        if (refused === undefined || refused === member.text.sequence) this.#fail(member, error);
      }
      return;
    }
    for (const { member, count } of shares) {
      member.position += count;
      member.pending = member.pending.subarray(count);
    }
    for (const [i, member] of chosenFor.entries()) {
      if (!this.#members.has(member)) continue; // it left while the step ran
      const token = chosen[i]!;
      member.pending = Int32Array.of(token);
      member.chosen++;
      try {
        const then = member.text.take(token);
        if (then === 'end') this.#members.delete(member);
        member.held = then === 'hold';
      } catch (error) {
        this.#fail(member, error); // a tokenizer of the caller's
      }
    }
  }

  #fail(member: Member, error: unknown): void {
    if (this.#members.delete(member)) member.text.fail(error);
  }
}

const share = (member: Member, room: number): Share => ({ member, count: Math.min(member.pending.length, room) });

/** The sequence that a step was refused for before it ran (somebody freed or moved it): the others only try again. */
function refusedSequence(error: unknown): number | undefined {
  const refusals = ['position-gap', 'sequence-not-in-use', 'tokens-not-adjacent'];
  if (!(error instanceof UltramemError) || !refusals.includes(error.code)) return undefined;
  return error.facts.sequence as number;
}
