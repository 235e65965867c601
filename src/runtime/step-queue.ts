// Steps of one session, first come, first served.

import { aborted, disposed } from '../support/errors/session.ts';
import type { Tensor } from '../support/tensor.ts';
import { boundOf } from './description.ts';
import type { Engine } from './engine.ts';
import type { CheckedInputs } from './inputs.ts';
import { placed } from './outputs.ts';
import { type Choice, chooseTokens } from './sampling.ts';
import type { Run, Sequences } from './sequences.ts';

interface Call extends CheckedInputs {
  readonly runs: readonly Run[];
  readonly signal: AbortSignal | undefined;
  /** In place of outputs, tokens from these rows of `logits`. */
  readonly choices: readonly Choice[] | undefined;
  /** Where outputs shall go. */
  readonly outputs: Given;
  /** In place of a step, this. */
  readonly work?: () => Promise<Result>;
  resolve(result: Result): void;
  reject(error: unknown): void;
}

type Given = Readonly<Record<string, Tensor>> | undefined;

/** Of a call: outputs, tokens where it has choices, or what its work gives. */
type Result = Record<string, Tensor> | Int32Array | number;

export class StepQueue {
  readonly #engine: Engine;
  readonly #sequences: Sequences | undefined;
  /** Ids that the model takes. */
  readonly #vocab: number;
  readonly #waiting: Call[] = [];
  #running: Promise<void> | undefined;
  #disposed = false;

  constructor(engine: Engine, sequences: Sequences | undefined) {
    this.#engine = engine;
    this.#sequences = sequences;
    this.#vocab = boundOf(engine.model, 'ids');
  }

  /** Runs a checked step in its turn. @throws as Session.forward */
  run(
    checked: CheckedInputs,
    runs: readonly Run[],
    signal: AbortSignal | undefined,
    outputs: Given,
  ): Promise<Record<string, Tensor>> {
    return this.#enqueue(checked, runs, signal, undefined, outputs) as Promise<Record<string, Tensor>>;
  }

  /** As run; gives tokens in place of outputs. */
  sample(
    checked: CheckedInputs,
    runs: readonly Run[],
    signal: AbortSignal | undefined,
    choices: readonly Choice[],
  ): Promise<Int32Array> {
    return this.#enqueue(checked, runs, signal, choices, undefined) as Promise<Int32Array>;
  }

  /** Runs work on a sequence in its turn, with no step beside it. @throws what it throws, aborted, disposed */
  alone(sequence: number, signal: AbortSignal | undefined, work: () => Promise<number>): Promise<number> {
    const nothing = { inputs: {}, symbols: {} };
    const runs = [{ sequence, start: 0, count: 0 }];
    return this.#enqueue(nothing, runs, signal, undefined, undefined, work) as Promise<number>;
  }

  #enqueue(
    checked: CheckedInputs,
    runs: readonly Run[],
    signal: Call['signal'],
    choices: Call['choices'],
    outputs: Given,
    work?: () => Promise<Result>,
  ) {
    return new Promise<Result>((resolve, reject) => {
      if (this.#disposed) return reject(disposed('the session'));
      if (signal?.aborted) return reject(aborted('the step', signal.reason));
      const call: Call = { ...checked, runs, signal, choices, outputs, ...(work && { work }), resolve, reject };
      const leave = () => {
        const at = this.#waiting.indexOf(call);
        if (at < 0) return; // it runs: the engine looks at the signal
        this.#waiting.splice(at, 1);
        call.reject(aborted('the step', signal?.reason));
      };
      signal?.addEventListener('abort', leave, { once: true });
      const settle =
        <V>(give: (value: V) => void) =>
        (value: V) => {
          signal?.removeEventListener('abort', leave);
          for (const { data } of Object.values(checked.inputs)) this.#engine.staging?.release(data);
          give(value);
        };
      call.resolve = settle(resolve);
      call.reject = settle(reject);
      this.#waiting.push(call);
      this.#running ??= this.#work();
    });
  }

  /** Refuses what waits and what comes. Resolves when nothing runs any more. */
  async dispose(): Promise<void> {
    this.#disposed = true;
    for (const call of this.#waiting.splice(0)) call.reject(disposed('the session'));
    await this.#running;
  }

  async #work(): Promise<void> {
    for (let call = this.#waiting.shift(); call !== undefined; call = this.#waiting.shift()) await this.#step(call);
    this.#running = undefined;
  }

  async #step(call: Call): Promise<void> {
    const { runs, work, resolve, reject } = call;
    if (work !== undefined) return work().then(resolve, reject);
    if (!this.#begin(call)) return;
    try {
      const result = await this.#result(call);
      this.#sequences?.end(runs, call.inputs.ids?.data as Int32Array | undefined);
      resolve(result);
    } catch (error) {
      this.#sequences?.forget(runs);
      reject(error);
    }
  }

  /** Runs the step. Outputs come off the engine only where the call wants them. */
  async #result(call: Call): Promise<Result> {
    const { choices, outputs } = call;
    if (choices !== undefined && this.#engine.sample !== undefined) return this.#engine.sample(call, choices);
    const results = await this.#engine.step(call);
    return choices === undefined ? placed(results, outputs) : chooseTokens(results.logits!, choices, this.#vocab);
  }

  /** Whether the call may run after those before it; refuses it otherwise. */
  #begin(call: Call): boolean {
    try {
      this.#sequences?.begin(call.runs);
      return true;
    } catch (error) {
      call.reject(error);
      return false;
    }
  }
}
