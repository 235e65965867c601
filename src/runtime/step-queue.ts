// Steps of one session, first come, first served; small ones that wait may run as one.

import { aborted, disposed } from '../support/errors/session.ts';
import type { Tensor } from '../support/tensor.ts';
import type { Engine, EngineStep } from './engine.ts';
import type { CheckedInputs } from './inputs.ts';
import { joinableSymbol, joinChoices, joinTensors, splitTensors } from './join-steps.ts';
import { placed } from './outputs.ts';
import { type Choice, chooseTokens } from './sampling.ts';
import type { Run, Sequences } from './sequences.ts';

/** Steps of more tokens run alone: they fill the processor by themselves, and an abort can stop them half-way. */
const mostJoined = 4;

interface Call extends CheckedInputs {
  readonly runs: readonly Run[];
  readonly signal: AbortSignal | undefined;
  /** In place of outputs, tokens from these rows of `logits`. */
  readonly choices: readonly Choice[] | undefined;
  /** Where outputs shall go. */
  readonly outputs: Given;
  /** In place of a step, this; it runs alone. */
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
  /** The token symbol, where steps may be joined. */
  readonly #joined: string | undefined;
  readonly #bound: number;
  readonly #waiting: Call[] = [];
  #running: Promise<void> | undefined;
  #disposed = false;

  constructor(engine: Engine, sequences: Sequences | undefined, join: boolean) {
    this.#engine = engine;
    this.#sequences = sequences;
    this.#joined = join ? joinableSymbol(engine.model) : undefined;
    this.#bound = engine.model.symbols.find(({ name }) => name === this.#joined)?.bound ?? 1;
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
    while (this.#waiting.length > 0) {
      await this.#step(this.#next());
      // Generations that just got their logits come back with their next step, to be joined with those that wait.
      if (this.#joined !== undefined) await new Promise((resolve) => setImmediate(resolve));
    }
    this.#running = undefined;
  }

  /** The first call, with the small ones behind it that touch other sequences. */
  #next(): Call[] {
    const batch = [this.#waiting.shift()!];
    let tokens = this.#tokens(batch[0]!);
    const taken = new Set(batch[0]!.runs.map(({ sequence }) => sequence));
    for (let at = 0; tokens <= mostJoined * batch.length && at < this.#waiting.length; ) {
      const call = this.#waiting[at]!;
      const count = this.#tokens(call);
      const apart = call.runs.every(({ sequence }) => !taken.has(sequence));
      if (apart && count <= mostJoined && tokens + count <= this.#bound) {
        batch.push(...this.#waiting.splice(at, 1));
        tokens += count;
      } else at++;
      for (const { sequence } of call.runs) taken.add(sequence); // a sequence keeps its order
    }
    return batch;
  }

  /** Tokens of a call; infinitely many where it must run alone. */
  #tokens(call: Call): number {
    return this.#joined === undefined || call.work !== undefined
      ? Number.POSITIVE_INFINITY
      : call.symbols[this.#joined]!;
  }

  async #step(calls: readonly Call[]): Promise<void> {
    const [{ work, resolve, reject }] = calls as readonly [Call];
    if (work !== undefined) return work().then(resolve, reject);
    const batch = calls.filter((call) => this.#begin(call));
    const [first] = batch;
    if (first === undefined) return;
    try {
      const parts = await this.#results(batch.length === 1 ? first : this.#together(batch), batch);
      for (const [i, call] of batch.entries()) {
        this.#sequences?.end(call.runs);
        call.resolve(parts[i]!);
      }
    } catch (error) {
      for (const call of batch) {
        this.#sequences?.forget(call.runs);
        call.reject(error);
      }
    }
  }

  #together(batch: readonly Call[]): EngineStep {
    const tokens = batch.reduce((sum, call) => sum + this.#tokens(call), 0);
    return {
      inputs: joinTensors(batch.map(({ inputs }) => inputs)),
      symbols: { ...batch[0]!.symbols, [this.#joined!]: tokens },
      signal: undefined, // a joined step is short; an abort of one is no abort of the others
    };
  }

  /** Runs the step that these calls make together. Outputs come off the engine only where a call wants them. */
  async #results(step: EngineStep, batch: readonly Call[]): Promise<Result[]> {
    const choices = batch.map((call) => call.choices);
    const counts = batch.length === 1 ? [] : batch.map((call) => this.#tokens(call));
    if (this.#engine.sample !== undefined && choices.every((own) => own !== undefined)) {
      const tokens = await this.#engine.sample(step, joinChoices(choices, counts));
      let at = 0;
      return choices.map(({ length }) => tokens.slice(at, (at += length)));
    }
    const outputs = await this.#engine.step(step);
    const parts = batch.length === 1 ? [outputs] : splitTensors(outputs, counts);
    return parts.map((part, i) => {
      const own = choices[i];
      return own === undefined ? placed(part, batch[i]!.outputs) : chooseTokens(part.logits!, own);
    });
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
