// How well a model of bytes foretells a text: the measure that roundings of its weights are judged by.

import type { Model } from './compile.ts';
import { type CompiledOptions, loadCompiled } from './open-model.ts';
import { isLanguageModel, Session, sessionSymbols, type WeightsLike } from './runtime/index.ts';
import { noByteModel } from './support/errors/session.ts';

/**
 * Mean of −log2 p(byte | those before it) over a text cut into windows that the model can hold, each begun anew behind the begin token;
 * the last, if it is shorter, is left out unless it is the only one.
 * @throws UltramemError no-byte-model, and what compiling, loading and steps throw
 */
export async function bitsPerByte(
  model: Model,
  weights: WeightsLike,
  text: Uint8Array,
  options: CompiledOptions,
): Promise<number> {
  const loaded = await loadCompiled(model, weights, options);
  try {
    const { tokenizer, inputs, symbols, name } = loaded.model;
    const context = inputs.find((input) => input.name === 'positions')?.below;
    const tokens = symbols.find(({ scope }) => scope === 'step')?.bound ?? 1;
    if (!isLanguageModel(loaded.model) || tokenizer == null || tokenizer.bos === null || typeof context !== 'number') {
      throw noByteModel(name);
    }
    const width = Math.min(context, tokens, text.length);
    using session = new Session(loaded.openEngine(sessionSymbols(loaded.model, { maxSequences: 1 })));
    let [nats, bytes] = [0, 0];
    for (let begin = 0; begin + width <= text.length && width > 0; begin += width) {
      options.onProgress?.({ stage: 'bits per byte', done: begin, total: text.length });
      const targets = text.subarray(begin, begin + width);
      const { logits } = await session.forward(
        {
          ids: Int32Array.from([tokenizer.bos, ...targets.subarray(0, -1)]),
          positions: Int32Array.from(targets.keys()),
          sequence: new Int32Array(width),
        },
        { signal: options.signal },
      );
      nats += natsOf(logits!.data as Float32Array, targets);
      bytes += width;
    }
    return nats / Math.LN2 / Math.max(1, bytes);
  } finally {
    loaded.dispose();
  }
}

/** −ln p of the targets under the rows of logits, one each, summed. */
function natsOf(logits: Float32Array, targets: Uint8Array): number {
  const vocabulary = logits.length / targets.length;
  let nats = 0;
  for (const [t, target] of targets.entries()) {
    const row = logits.subarray(t * vocabulary, (t + 1) * vocabulary);
    const most = row.reduce((a, b) => Math.max(a, b));
    nats += most + Math.log(row.reduce((sum, x) => sum + Math.exp(x - most), 0)) - row[target]!;
  }
  return nats;
}
