// Choices as a device takes them: six 64-bit words each, as native/addon/device.h and native/cuda/sample.cuh have them.

import type { Choice } from './sampling.ts';

const count = 6;

/** row, steepness (a double), k, p (a double), seed, index: of each choice, one after another. */
export function choiceWords(choices: readonly Choice[]): BigInt64Array {
  const words = new BigInt64Array(choices.length * count);
  const doubles = new Float64Array(words.buffer);
  for (const [i, { row, index, sampling }] of choices.entries()) {
    const at = i * count;
    words[at] = BigInt(row);
    doubles[at + 1] = sampling.steepness;
    words[at + 2] = BigInt(sampling.topK);
    doubles[at + 3] = sampling.topP;
    words[at + 4] = BigInt(sampling.seed);
    words[at + 5] = BigInt(index);
  }
  return words;
}
