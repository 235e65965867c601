// Which ranges of T get a step of their own.

export interface TokenRange {
  readonly name: 'one' | 'few' | 'many';
  readonly min: number;
  readonly max: number;
  readonly reason: string;
}

/** Largest T of `few`: a decode batch whose weights are still read once per step rather than once per tile of tokens. */
export const FEW_TOKENS = 16;

/** Ranges for T up to `bound`; one range where T is 1 or absent. */
export function tokenRanges(bound: number): readonly TokenRange[] {
  const one = { name: 'one', min: 1, max: 1, reason: 'T is a constant; its arena fits a small cache' } as const;
  const few = { name: 'few', min: 2, max: Math.min(FEW_TOKENS, bound), reason: 'a decode batch' } as const;
  const many = { name: 'many', min: FEW_TOKENS + 1, max: bound, reason: 'prefill' } as const;
  return [one, few, many].filter((range) => range.min <= bound);
}
