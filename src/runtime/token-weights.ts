// How probable tokens are, as integers: their sums are exact, so every target finds the same sums in whatever order it adds.
// native/cuda/sample.cuh computes the same weights, operation by operation.

const { fround } = Math;

/** 2^f − 1 over f on [−1, 0], from the lowest power of f up; f32. Within 2e-7 of 2^f. */
const exponential = Float32Array.of(0.69314706, 0.24022436, 0.05549076, 0.00957918, 0.0012747482, 0.0001090232);

/** The powers of two from 0 up. */
const powers = Float64Array.from({ length: 54 }, (_, exponent) => 2 ** exponent);

/** The weight of the most probable token is 2 to this power: weights of a whole row add up to at most 2^53. */
const weightBits = (rowLength: number): number => 53 - (32 - Math.clz32(rowLength - 1));

/** How steeply weights fall at a temperature, in halvings per unit of logit; f32. */
export const steepnessOf = (temperature: number): number => fround(Math.LOG2E / temperature);

/**
 * exp((logit − largest) / temperature) of every token, in units of 2^−weightBits and rounded down; of infinitely large logits
 * all the same; of NaN none.
 */
export function weigh(logits: Float32Array, largest: number, steepness: number): Float64Array {
  const bits = weightBits(logits.length);
  const weights = new Float64Array(logits.length);
  for (let id = 0; id < logits.length; id++) {
    const logit = logits[id]!;
    if (logit === largest) weights[id] = powers[bits]!;
    else if (logit < largest) weights[id] = powerOfTwo(fround(fround(logit - largest) * steepness), bits);
  }
  return weights;
}

/** 2^x for x ≤ 0, in units of 2^−bits. */
function powerOfTwo(x: number, bits: number): number {
  if (!(x > -1 - bits)) return 0;
  const whole = Math.trunc(x);
  const part = fround(x - whole);
  let value = 0;
  for (let power = exponential.length - 1; power >= 0; power--) {
    value = fround(fround(value * part) + exponential[power]!);
  }
  value = fround(fround(value * part) + 1);
  return Math.floor(value * powers[bits + whole]!);
}
