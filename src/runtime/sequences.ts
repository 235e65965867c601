// The sequences of a session: which are in use, and which tokens each holds in the states.

import {
  aborted,
  noFreeSequence,
  positionGap,
  sequenceNotInUse,
  tokensNotAdjacent,
} from '../support/errors/session.ts';
import type { ModelDescription, SymbolValues } from './description.ts';

/** Neighbouring tokens of one sequence in a step. */
export interface Run {
  readonly sequence: number;
  /** Position of its first token. */
  readonly start: number;
  readonly count: number;
}

export class Sequences {
  /** How many there are. */
  readonly count: number;
  /** Whether a sequence may go back to any earlier position: every state is a cache by position, none a window. */
  readonly rewindable: boolean;
  readonly #lengths: (number | undefined)[]; // undefined: free
  /** Ids that steps gave, by sequence and position; of those past the length nothing is said. */
  readonly #ids: number[][];
  /** Who wait for a free one, in order. */
  readonly #waiting = new Set<{ give(sequence: number): void; refuse(error: unknown): void }>();
  #closed: Error | undefined;

  constructor(count: number, rewindable: boolean) {
    this.count = count;
    this.rewindable = rewindable;
    this.#lengths = new Array(count).fill(undefined);
    this.#ids = Array.from({ length: count }, () => []);
  }

  /**
   * Takes the lowest free sequence.
   * @throws UltramemError no-free-sequence
   */
  allocate(): number {
    const sequence = this.#lengths.indexOf(undefined);
    if (sequence < 0) throw noFreeSequence(this.count);
    this.#lengths[sequence] = 0;
    return sequence;
  }

  /**
   * Takes the lowest free sequence, or waits in line for one.
   * @throws UltramemError aborted, disposed
   */
  async acquire(signal?: AbortSignal): Promise<number> {
    if (signal?.aborted) throw aborted('waiting for a sequence', signal.reason);
    if (this.#closed !== undefined) throw this.#closed;
    if (this.#waiting.size === 0 && this.#lengths.includes(undefined)) return this.allocate();
    return new Promise((resolve, reject) => {
      const leave = () => waiter.refuse(aborted('waiting for a sequence', signal?.reason));
      const settle = (how: () => void) => {
        this.#waiting.delete(waiter);
        signal?.removeEventListener('abort', leave);
        how();
      };
      const waiter = {
        give: (sequence: number) => settle(() => resolve(sequence)),
        refuse: (error: unknown) => settle(() => reject(error)),
      };
      this.#waiting.add(waiter);
      signal?.addEventListener('abort', leave);
    });
  }

  /** Refuses those who wait, and who will. */
  close(error: Error): void {
    this.#closed = error;
    for (const waiter of this.#waiting) waiter.refuse(error);
  }

  /**
   * Takes the lowest free sequence for a copy of another: as many tokens.
   * @throws UltramemError sequence-not-in-use, no-free-sequence
   */
  fork(from: number): number {
    const length = this.length(from);
    const sequence = this.allocate();
    this.#lengths[sequence] = length;
    this.#ids[sequence] = this.#ids[from]!.slice(0, length);
    return sequence;
  }

  /** Empties a sequence; its next step begins at position 0. */
  reset(sequence: number): void {
    this.length(sequence);
    this.#lengths[sequence] = 0;
  }

  /** Gives a sequence back, to whoever waits longest; nothing to do where it is free. */
  free(sequence: number): void {
    if (!this.inUse(sequence)) return;
    const [first] = this.#waiting;
    this.#lengths[sequence] = first === undefined ? undefined : 0;
    first?.give(sequence);
  }

  /** Tokens that a sequence holds. */
  length(sequence: number): number {
    const length = this.#lengths[sequence];
    if (length === undefined) throw sequenceNotInUse(sequence);
    return length;
  }

  /**
   * How many of a text's first tokens a sequence holds and need not run again: a step may go on from there. Always less than the
   * text has, as something must run for its next token.
   * @throws UltramemError sequence-not-in-use
   */
  held(sequence: number, text: Int32Array): number {
    const length = this.length(sequence);
    const ids = this.#ids[sequence]!;
    const most = Math.min(length, text.length - 1);
    let same = 0;
    while (same < most && ids[same] === text[same]) same++;
    return same === length || this.rewindable ? same : 0;
  }

  inUse(sequence: number): boolean {
    return this.#lengths[sequence] !== undefined;
  }

  /**
   * Checks a step's runs against what the sequences hold. A step that begins a free sequence at 0 takes it into use.
   * @throws UltramemError position-gap, sequence-not-in-use
   */
  begin(runs: readonly Run[]): void {
    for (const { sequence, start } of runs) {
      const length = this.#lengths[sequence] ?? (start === 0 ? 0 : this.length(sequence));
      const follows = start === length || start === 0 || (this.rewindable && start < length);
      if (!follows) throw positionGap(sequence, start, length, this.rewindable);
    }
    for (const { sequence } of runs) this.#lengths[sequence] ??= 0;
  }

  /**
   * After a step that succeeded. A sequence freed meanwhile stays free.
   * @param ids i32[T], where steps have such an input
   */
  end(runs: readonly Run[], ids?: Int32Array): void {
    let row = 0;
    for (const { sequence, start, count } of runs) {
      const from = row;
      row += count;
      if (!this.inUse(sequence)) continue;
      this.#lengths[sequence] = start + count;
      if (ids === undefined) continue;
      const held = this.#ids[sequence]!;
      for (let i = 0; i < count; i++) held[start + i] = ids[from + i]!;
    }
  }

  /** After a step that failed half-way: what it may have overwritten is forgotten. */
  forget(runs: readonly Run[]): void {
    for (const { sequence, start } of runs) {
      if (this.inUse(sequence)) this.#lengths[sequence] = this.rewindable ? start : 0;
    }
  }
}

/** Sequences of a model whose steps say positions and sequence; undefined for others. */
export function sequencesOf(model: ModelDescription, symbols: SymbolValues): Sequences | undefined {
  const positions = model.inputs.find(({ name }) => name === 'positions');
  const sequence = model.inputs.find(({ name }) => name === 'sequence');
  if (positions === undefined || sequence?.below === undefined) return undefined;
  const count = typeof sequence.below === 'number' ? sequence.below : symbols[sequence.below]!;
  // States are [sequences, context, …] when indexed by position.
  return new Sequences(
    count,
    model.states.every(({ shape }) => shape[1] === positions.below),
  );
}

/**
 * The runs of a step.
 * @param positions i32[T], @param sequence i32[T]
 * @throws UltramemError tokens-not-adjacent
 */
export function runsOf(positions: Int32Array, sequence: Int32Array): Run[] {
  const runs: { sequence: number; start: number; count: number }[] = [];
  const seen = new Set<number>();
  for (let i = 0; i < sequence.length; i++) {
    const at = sequence[i]!;
    const last = runs.at(-1);
    if (last?.sequence === at) {
      if (positions[i] !== last.start + last.count) {
        throw tokensNotAdjacent(at, i, `position ${positions[i]} does not follow ${last.start + last.count - 1}`);
      }
      last.count++;
    } else {
      if (seen.has(at)) throw tokensNotAdjacent(at, i, 'other sequences stand between its tokens');
      seen.add(at);
      runs.push({ sequence: at, start: positions[i]!, count: 1 });
    }
  }
  return runs;
}
