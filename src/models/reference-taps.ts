// How the reference's intermediates (`mid.*` of its outputs) lie against the taps of the presets, which carry the same names.

/** Axes of a reference tensor in the order that the tap has, by the end of the name. */
const orders: readonly (readonly [end: RegExp, perm: readonly number[]])[] = [
  [/(^|\.)keys_norm$/, [0, 1, 2, 4, 3]], // [H,2,n',Dk,r] → [H,2,n',r,Dk]
  [/(^|\.)lookup_scores$/, [1, 2, 0]], // [h,T,R] → [T,R,h]
  [/\.[qk]_(norm|rope)$/, [0, 2, 1, 3]], // [batch,H,length,hd] → [batch,length,H,hd]
];

/**
 * The permutation that brings a reference intermediate of `rank` axes into the order of the tap of the same name; undefined
 * where it already is, as for the scores of a single core, which the reference squeezes.
 * After it the two hold the same elements in row-major order; batch and length, where the reference has both, are the tap's T
 * with token t = sequence·length + position.
 */
export const referencePermutation = (name: string, rank: number): readonly number[] | undefined =>
  orders.find(([end, perm]) => end.test(name) && perm.length === rank)?.[1];

/** The reference's name of an input or output: it numbers those of several layers, `x.0` where the model has `x_0`. */
export const referenceName = (name: string): string => name.replace(/_(\d+)$/, '.$1');
