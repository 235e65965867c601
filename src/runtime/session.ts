// A session: one caller's states, sequences and threads on an engine. Checks every call, runs one step at a time.

import { disposed, notALanguageModel, optionInvalid, symbolOutOfRange } from '../support/errors/session.ts';
import type { Tensor } from '../support/tensor.ts';
import { type BatchOptions, ContinuousBatch } from './continuous-batch.ts';
import { isLanguageModel, type ModelDescription, type SymbolValues } from './description.ts';
import type { CallOptions, Engine, ForwardOptions } from './engine.ts';
import { type GeneratedToken, type GenerateOptions, type Generation, generateTokens } from './generate.ts';
import { type CheckedInputs, checkInputs, type InputValue } from './inputs.ts';
import type { MemoryUse } from './memory.ts';
import { checkOutputs } from './outputs.ts';
import type { Choice } from './sampling.ts';
import { type Run, runsOf, type Sequences, sequencesOf } from './sequences.ts';
import { StepQueue } from './step-queue.ts';

export interface SessionOptions extends BatchOptions {
  /** How many sequences the session holds at once (symbol S); default 4, or fewer where the model says so. */
  readonly maxSequences?: number;
  /** Threads of this session. */
  readonly threads?: number;
}

export class Session {
  readonly model: ModelDescription;
  /** Undefined for models whose steps say no positions and sequence. */
  readonly sequences: Sequences | undefined;
  readonly #engine: Engine;
  readonly #queue: StepQueue;
  /** Of all calls of generate. */
  readonly #batch: ContinuousBatch;
  #disposed = false;

  /** @throws UltramemError option-invalid */
  constructor(engine: Engine, options: BatchOptions = {}) {
    const { promptTokens } = options;
    if (promptTokens !== undefined && !(Number.isSafeInteger(promptTokens) && promptTokens >= 1)) {
      throw optionInvalid('promptTokens', promptTokens, 'a positive integer');
    }
    this.#engine = engine;
    this.model = engine.model;
    this.sequences = sequencesOf(engine.model, engine.symbols);
    this.#queue = new StepQueue(engine, this.sequences);
    this.#batch = new ContinuousBatch(this, options);
  }

  /**
   * Runs one step off the event loop, after the steps called before it.
   * @param inputs every input of the model; a plain array stands for a tensor where its shape follows from its length
   * @throws UltramemError input-*, output-invalid, token-out-of-range, position-past-cache, tokens-not-adjacent, too-many-tokens,
   *   position-gap, sequence-not-in-use, aborted, disposed
   */
  async forward(
    inputs: Readonly<Record<string, InputValue>>,
    { signal, outputs }: ForwardOptions = {},
  ): Promise<Record<string, Tensor>> {
    const { checked, runs } = this.#check(inputs);
    const given = outputs && checkOutputs(this.model, checked.symbols, outputs);
    return this.#queue.run(checked, runs, signal, given);
  }

  /**
   * As forward, but gives tokens in place of outputs, one for each of `choices`: a target that samples keeps the logits.
   * @throws UltramemError those of forward, not-a-language-model, option-invalid
   */
  async sample(
    inputs: Readonly<Record<string, InputValue>>,
    choices: readonly Choice[],
    { signal }: CallOptions = {},
  ): Promise<Int32Array> {
    if (!isLanguageModel(this.model)) throw notALanguageModel(this.model.name);
    const { checked, runs } = this.#check(inputs);
    const rows = checked.inputs.ids!.shape[0]!;
    if (choices.length > rows) throw optionInvalid('choices', choices.length, `at most ${rows}, one for each token`);
    for (const { row, index } of choices) {
      if (!(Number.isInteger(row) && row >= 0 && row < rows)) {
        throw optionInvalid('row', row, `an integer from 0 to ${rows - 1}, a token of the step`);
      }
      if (!(Number.isSafeInteger(index) && index >= 0)) {
        throw optionInvalid('index', index, 'a non-negative safe integer');
      }
    }
    return this.#queue.sample(checked, runs, signal, choices);
  }

  /**
   * Takes a free sequence that holds what another holds, after the calls before this one: a prompt that many continuations share then
   * runs but once. Gives the sequence.
   * @throws UltramemError sequence-not-in-use, no-free-sequence, not-a-language-model, aborted, disposed
   */
  async fork(sequence: number, { signal }: CallOptions = {}): Promise<number> {
    const { sequences } = this;
    if (sequences === undefined) throw notALanguageModel(this.model.name);
    return this.#queue.alone(sequence, signal, async () => {
      const to = sequences.fork(sequence);
      try {
        await this.#engine.copySequence(sequence, to);
      } catch (error) {
        sequences.free(to);
        throw error;
      }
      return to;
    });
  }

  #check(inputs: Readonly<Record<string, InputValue>>): { checked: CheckedInputs; runs: readonly Run[] } {
    if (this.#disposed) throw disposed('the session');
    const checked = checkInputs(this.model, this.#engine.symbols, inputs, this.#engine.staging);
    const { positions, sequence } = checked.inputs;
    const runs =
      this.sequences === undefined ? [] : runsOf(positions!.data as Int32Array, sequence!.data as Int32Array);
    return { checked, runs };
  }

  /**
   * Continues a prompt, token by token. Takes a sequence when iteration begins and frees it when it ends, however it ends; of one of the
   * caller's own (`sequence`) it runs what the sequence does not hold yet.
   * Calls at the same time share steps: see BatchOptions. A caller that is slow to take tokens holds up its own text alone, which
   * runs two tokens ahead of it. An abort signal ends it with the error `aborted`; leaving the loop ends it quietly.
   * @param prompt text (for models with a tokenizer) or ids as they are
   * @throws UltramemError at once: option-invalid, not-a-language-model, prompt-too-long, prompt-empty,
   *   token-out-of-range; while iterating: no-free-sequence, sequence-not-in-use, sequence-busy, aborted, disposed
   */
  generate(
    prompt: string | ArrayLike<number>,
    options: GenerateOptions = {},
  ): AsyncGenerator<GeneratedToken, Generation> {
    if (!isLanguageModel(this.model)) throw notALanguageModel(this.model.name);
    return generateTokens(this.model, this.#batch, this.sequences!, prompt, options);
  }

  /** Generates to the end: the whole text at once. */
  async complete(prompt: string | ArrayLike<number>, options: GenerateOptions = {}): Promise<Generation> {
    const tokens = this.generate(prompt, options);
    for (;;) {
      const next = await tokens.next();
      if (next.done) return next.value;
    }
  }

  /** What the session and its weights take now, in bytes. Takes a while for large mapped files. */
  memory(): MemoryUse {
    if (this.#disposed) throw disposed('the session');
    return this.#engine.memory();
  }

  /** Cancels the step in flight and frees the session's memory when that has stopped. Safe twice. */
  dispose(): void {
    this.#disposed = true;
    this.sequences?.close(disposed('the session'));
    void this.#queue.dispose();
    this.#engine.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** As dispose; resolves once nothing runs any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.dispose();
    await this.#queue.dispose();
  }
}

/** Values of a model's session symbols for these options. @throws UltramemError symbol-out-of-range */
export function sessionSymbols(model: ModelDescription, options: SessionOptions): SymbolValues {
  const values: Record<string, number> = {};
  for (const { name, bound, scope } of model.symbols) {
    if (scope !== 'session') continue;
    const value = options.maxSequences ?? Math.min(4, bound);
    if (!(Number.isInteger(value) && value >= 1 && value <= bound)) {
      throw symbolOutOfRange('maxSequences', value, bound);
    }
    values[name] = value;
  }
  return values;
}
