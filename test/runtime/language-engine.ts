// An engine without native code for tests of sessions and generation: a language model over bytes that says a fixed text.

import type { ModelDescription, TokenizerDescription } from '../../src/runtime/description.ts';
import type { Engine, EngineStep } from '../../src/runtime/engine.ts';
import { noWeights } from '../../src/runtime/memory.ts';
import { type Choice, chooseTokens } from '../../src/runtime/sampling.ts';
import { type Tensor, tensor } from '../../src/support/tensor.ts';

export interface LanguageEngine extends Engine {
  /** Token counts of the steps so far. */
  readonly steps: number[];
  /** How many tokens were asked for in each step that gave tokens alone. */
  readonly asked: number[];
  disposed: boolean;
}

/**
 * After position p comes `say[p − 1 mod length]`: a prompt of the begin token alone is continued from its beginning.
 * Checks that every step extends what its sequence holds.
 */
export function languageEngine(
  say: Uint8Array,
  options: {
    context?: number;
    most?: number;
    sequences?: number;
    tokenizer?: TokenizerDescription | null;
    window?: boolean;
    /** Chooses tokens itself, and keeps the logits. */
    samples?: boolean;
  } = {},
): LanguageEngine {
  const { context = 64, most = 8, sequences = 2, window = false, samples = false } = options;
  const tokenizer =
    options.tokenizer === null ? {} : { tokenizer: options.tokenizer ?? { kind: 'bytes', bos: 256, eos: [] } };
  const token = (name: string, below: number | string) => ({ name, dtype: 'i32', shape: ['T'], below }) as const;
  const model: ModelDescription = {
    name: 'parrot',
    symbols: [
      { name: 'T', bound: most, scope: 'step' },
      { name: 'S', bound: 8, scope: 'session' },
    ],
    inputs: [token('ids', 257), token('positions', context), token('sequence', 'S')],
    outputs: [{ name: 'logits', dtype: 'f32', shape: ['T', 257], below: undefined }],
    weights: [],
    states: [{ name: 'cache', dtype: 'f32', shape: ['S', window ? 3 : context], below: undefined }],
    ...tokenizer,
  };
  let running = false;
  return {
    model,
    symbols: { S: sequences },
    steps: [],
    asked: [],
    disposed: false,
    async step({ inputs, signal }: EngineStep): Promise<Record<string, Tensor>> {
      if (running) throw new Error('two steps at once');
      running = true;
      const positions = inputs.positions!.data as Int32Array;
      this.steps.push(positions.length);
      await new Promise((resolve) => setTimeout(resolve, 1));
      running = false;
      if (signal?.aborted) throw Object.assign(new Error('aborted'), { code: 'aborted' });
      const logits = new Float32Array(positions.length * 257);
      for (const [t, position] of positions.entries()) logits[t * 257 + say[position % say.length]!] = 1;
      return { logits: tensor('f32', [positions.length, 257], logits) };
    },
    ...(samples && {
      async sample(this: LanguageEngine, step: EngineStep, choices: readonly Choice[]) {
        this.asked.push(choices.length);
        return chooseTokens((await this.step(step)).logits!, choices);
      },
    }),
    memory: () => ({ weights: noWeights, session: { states: 0, arena: 0, scratch: 0 }, rss: 0 }),
    async copySequence() {
      if (running) throw new Error('a copy beside a step');
    },
    dispose() {
      this.disposed = true;
    },
    [Symbol.dispose]() {
      this.dispose();
    },
  };
}
