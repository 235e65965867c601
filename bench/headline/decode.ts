// A decoder with sequences of equal length, and single decode steps of it: one token of each of the first sequences, again and again at the
// last position.

import type { Model } from 'ultramem';
import { mostTokens, type Session, type Tensor, zeros } from 'ultramem/runtime';
import { Random } from '../layer-weights.ts';

/** What of a table the tokens of a step chose between them: different rows or experts, by the output that says which. */
export type Distinct = Readonly<Record<string, number>>;

export interface Opened {
  readonly session: Session;
  dispose(): void;
}

/** Opens a model on weights, for so many sequences. */
export type Open = (
  model: Model,
  weights: Readonly<Record<string, Tensor>>,
  sequences: number,
  threads: number,
) => Promise<Opened>;

/** A step as it was timed. */
export interface TimedStep {
  readonly milliseconds: number;
  readonly distinct: Distinct;
}

export class Decode {
  readonly #session: Session;
  readonly #length: number;
  /** Slots of a memory are rows modulo this. */
  readonly #rows: number;
  readonly #vocab: number;
  readonly #random = new Random(1);

  constructor(session: Session, { length, rows }: { readonly length: number; readonly rows: number }) {
    this.#session = session;
    this.#length = length;
    this.#rows = rows;
    this.#vocab = Number(session.model.inputs.find(({ name }) => name === 'ids')!.below);
  }

  /**
   * Runs a prompt of random tokens through one sequence and forks it to all others: each holds the keys and values of all positions in memory of
   * its own.
   */
  async fill(sequences: number): Promise<void> {
    const session = this.#session;
    const most = mostTokens(session.model);
    for (let start = 0; start < this.#length; start += most) {
      const count = Math.min(most, this.#length - start);
      const ids = Int32Array.from({ length: count }, () => Math.floor(this.#vocab * this.#random.uniform()));
      await session.forward({ ids, positions: ids.map((_, i) => start + i), sequence: ids.map(() => 0) });
    }
    for (let s = 1; s < sequences; s++) await session.fork(0);
  }

  /** One step of `batch` different tokens, timed from the call to its outputs. */
  async step(batch: number): Promise<TimedStep> {
    const inputs = {
      ids: this.#different(batch),
      positions: new Int32Array(batch).fill(this.#length - 1),
      sequence: Int32Array.from({ length: batch }, (_, s) => s),
    };
    const outputs = Object.fromEntries(
      this.#session.model.outputs.map(({ name, dtype, shape }) => [
        name,
        zeros(
          dtype,
          shape.map((dim) => (typeof dim === 'number' ? dim : batch)),
        ).data,
      ]),
    );
    const started = performance.now();
    await this.#session.forward(inputs, { outputs });
    const milliseconds = performance.now() - started;
    const chosen = Object.entries(outputs).filter(([name]) => name !== 'logits') as [string, Int32Array][];
    return {
      milliseconds,
      distinct: Object.fromEntries(chosen.map(([name, data]) => [name, this.#count(name, data)])),
    };
  }

  /** Random ids, no two the same where there are as many. */
  #different(count: number): Int32Array {
    const ids = Int32Array.from({ length: Math.max(this.#vocab, count) }, (_, i) => i % this.#vocab);
    for (let i = 0; i < count; i++) {
      const j = i + Math.floor((ids.length - i) * this.#random.uniform());
      [ids[i], ids[j]] = [ids[j]!, ids[i]!];
    }
    return ids.slice(0, count);
  }

  #count(name: string, chosen: Int32Array): number {
    return new Set(name.endsWith('_slots') ? chosen.map((slot) => slot % this.#rows) : chosen).size;
  }
}
