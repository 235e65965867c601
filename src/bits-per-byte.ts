// How well a language model foretells a text: the measure that roundings of its weights are judged by.

import type { Model } from './compile.ts';
import { type CompiledOptions, loadCompiled } from './open-model.ts';
import {
  boundOf,
  chooseTokenizer,
  isLanguageModel,
  mostTokens,
  Session,
  sessionSymbols,
  type Tokenizer,
  type WeightsLike,
} from './runtime/index.ts';
import { notALanguageModel, optionInvalid } from './support/errors/session.ts';

export interface MeasureOptions extends CompiledOptions {
  /** In place of the model's own. */
  readonly tokenizer?: Tokenizer | undefined;
}

/**
 * Mean of −log2 p(token | those before it) over the bytes of a text cut into windows that the model can hold, each begun anew behind the
 * begin tokens, or behind the token before it where there are none; the last, if it is shorter, is left out unless it is the only one.
 * @throws UltramemError not-a-language-model, option-invalid, tokenizer-misfit, and what compiling, loading and steps throw
 */
export async function bitsPerByte(
  model: Model,
  weights: WeightsLike,
  text: Uint8Array,
  options: MeasureOptions,
): Promise<number> {
  const loaded = await loadCompiled(model, weights, options);
  try {
    if (!isLanguageModel(loaded.model)) throw notALanguageModel(model.name);
    const tokenizer = chooseTokenizer(loaded.model, options.tokenizer);
    if (tokenizer === undefined) throw optionInvalid('tokenizer', undefined, 'given: the model states none');
    const most = Math.min(boundOf(loaded.model, 'positions'), mostTokens(loaded.model));
    const ids = tokenizer.encode(text);
    const begin = commonBeginning(tokenizer.encode(''), ids);
    const first = Math.max(1, begin.length);
    const width = Math.min(most + 1 - first, ids.length - first);
    using session = new Session(loaded.openEngine(sessionSymbols(loaded.model, { maxSequences: 1 })));
    let [nats, at] = [0, first];
    for (; at + width <= ids.length && width > 0; at += width) {
      options.onProgress?.({ stage: 'bits per byte', done: at, total: ids.length });
      const targets = ids.subarray(at, at + width);
      const before = begin.length > 0 ? begin : ids.subarray(at - 1, at);
      const tokens = Int32Array.of(...before, ...targets.subarray(0, -1));
      const { logits } = await session.forward(
        { ids: tokens, positions: Int32Array.from(tokens.keys()), sequence: new Int32Array(tokens.length) },
        { signal: options.signal },
      );
      const vocabulary = logits!.shape[1]!;
      nats += natsOf((logits!.data as Float32Array).subarray((before.length - 1) * vocabulary), targets);
    }
    const bytesTo = (end: number): number => Buffer.byteLength(tokenizer.decode(ids.subarray(0, end)));
    const bytes = options.tokenizer === undefined ? at - first : bytesTo(at) - bytesTo(first);
    return nats / Math.LN2 / Math.max(1, bytes);
  } finally {
    loaded.dispose();
  }
}

/** What both begin with. */
function commonBeginning(some: Int32Array, ids: Int32Array): Int32Array {
  const differs = some.findIndex((id, i) => id !== ids[i]);
  return some.subarray(0, differs < 0 ? some.length : differs);
}

/** −ln p of the targets under the rows of logits, one each, summed. */
function natsOf(logits: Float32Array, targets: Int32Array): number {
  const vocabulary = logits.length / targets.length;
  let nats = 0;
  for (const [t, target] of targets.entries()) {
    const row = logits.subarray(t * vocabulary, (t + 1) * vocabulary);
    const most = row.reduce((a, b) => Math.max(a, b));
    nats += most + Math.log(row.reduce((sum, x) => sum + Math.exp(x - most), 0)) - row[target]!;
  }
  return nats;
}
