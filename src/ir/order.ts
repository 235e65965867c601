// The order of top-k, defined once for all targets: descending; equal values by lower index; NaN last.

/** Whether value `a` at index `i` comes before value `b` at index `j`. */
export function precedes(a: number, i: number, b: number, j: number): boolean {
  if (a > b) return true;
  if (a < b) return false;
  const aNaN = Number.isNaN(a);
  if (aNaN !== Number.isNaN(b)) return !aNaN;
  return i < j; // equal (+0 equals −0), or both NaN
}

/** Indices of the k first values of `row` in that order, by sorting all of them. */
export function firstK(row: ArrayLike<number>, k: number): number[] {
  return Array.from(row, (_, i) => i)
    .sort((i, j) => (precedes(row[i]!, i, row[j]!, j) ? -1 : 1))
    .slice(0, k);
}
