// Philox4x32-10, a counter-based generator (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011):
// the n-th number follows from seed and n alone, so a seed gives the same tokens whatever else runs.

/** High and low 32 bits of a × b. */
function product(a: number, b: number): [number, number] {
  const [ah, al, bh, bl] = [a >>> 16, a & 0xffff, b >>> 16, b & 0xffff];
  const middle = ah * bl + ((al * bl) >>> 16); // < 2^49, exact
  const carry = al * bh + (middle % 65536);
  const high = ah * bh + Math.floor(middle / 65536) + Math.floor(carry / 65536);
  return [high >>> 0, Math.imul(a, b) >>> 0];
}

/** Four 32-bit words from a counter of four words and a key of two. */
export function philox(
  counter: readonly [number, number, number, number],
  key: readonly [number, number],
): [number, number, number, number] {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < 10; round++) {
    const [high0, low0] = product(0xd2511f53, c0);
    const [high1, low1] = product(0xcd9e8d57, c2);
    [c0, c1, c2, c3] = [(high1 ^ c1 ^ k0) >>> 0, low1, (high0 ^ c3 ^ k1) >>> 0, low0];
    k0 = (k0 + 0x9e3779b9) >>> 0;
    k1 = (k1 + 0xbb67ae85) >>> 0;
  }
  return [c0, c1, c2, c3];
}

/** The `index`-th number of `seed`, uniform in [0, 1) with 53 bits. Both are safe non-negative integers. */
export function uniform(seed: number, index: number): number {
  const words = (n: number) => [n >>> 0, Math.floor(n / 2 ** 32)] as const;
  const [high, low] = philox([...words(index), 0, 0], words(seed));
  return ((high >>> 5) * 2 ** 26 + (low >>> 6)) / 2 ** 53;
}
