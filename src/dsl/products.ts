// Words for sums of products.

import type { Dim, Type } from '../ir/graph.ts';
import { typeText } from '../ir/graph.ts';
import type { Problem } from '../ir/op.ts';
import { wrongDtype } from '../ir/operands.ts';
import { apply1 } from './apply.ts';
import type { F32 } from './tensor.ts';

/**
 * x f32[…,K] by weight f32[N,K], as checkpoints store linear layers → f32[…,N]: y[…,n] = Σ_k x[…,k]·weight[n,k]. No bias: `add` one.
 * A fault where the weight has not two axes or its second is not x's last.
 */
export function linear(x: F32, weight: F32): F32 {
  return apply1('linear', 'einsum', [x, weight], (x, weight) => {
    const wrong = wrongDtype('linear', 'x', x, ['f32'], 0) ?? wrongDtype('linear', 'weight', weight, ['f32'], 1);
    if (wrong) return wrong;
    if (weight.shape.length !== 2) return misfit('linear: the weight has two axes', weight, '[N,K]');
    if (x.shape.length === 0 || x.shape.at(-1) !== weight.shape[1]) {
      const message = `linear: the last axis of x is ${x.shape.at(-1) ?? 'missing'}, the weight takes ${weight.shape[1]}`;
      const hint = weight.shape[0] === x.shape.at(-1) ? 'the weight is [out,in]; this one looks transposed' : undefined;
      return { ...misfit(message, x, `[…,${weight.shape[1]}]`), hint };
    }
    const rows = letters(x.shape.length - 1, 'kn');
    return { equation: `${rows}k,nk->${rows}n` };
  });
}

/**
 * Matrix product of the last two axes, the axes before them in common: a f32[…,M,K], b f32[…,K,N] → f32[…,M,N].
 * Either may lack the axes before: it is then shared by all.
 */
export function matmul(a: F32, b: F32): F32 {
  return apply1('matmul', 'einsum', [a, b], (a, b) => {
    if (a.shape.length < 2 || b.shape.length < 2) {
      return misfit('matmul: both operands have at least two axes', a.shape.length < 2 ? a : b, '[…,M,K] and […,K,N]');
    }
    if (a.shape.at(-1) !== b.shape.at(-2)) {
      const message = `matmul: the last axis of a is ${a.shape.at(-1)}, the one before the last of b is ${b.shape.at(-2)}`;
      return misfit(message, b, `[…,${a.shape.at(-1)},N]`);
    }
    const outerA = letters(a.shape.length - 2, 'mkn');
    const outerB = letters(b.shape.length - 2, 'mkn');
    const outer = outerA.length >= outerB.length ? outerA : outerB;
    if (outerA !== '' && outerB !== '' && outerA !== outerB) {
      return misfit(
        'matmul: the axes before the last two differ',
        b,
        typeText({ ...a, shape: [...a.shape.slice(0, -2), 'K', 'N'] }),
      );
    }
    return { equation: `${outerA}mk,${outerB}kn->${outer}mn` };
  });
}

/**
 * Sum of products by labels, one letter per axis: `einsum('td,hnrd->thnr', query, keys)`.
 * Labels that the result lacks are summed; operands f32, accumulated in f32 or wider.
 */
export function einsum(equation: string, a: F32, b: F32): F32 {
  return apply1('einsum', 'einsum', [a, b], { equation });
}

/**
 * Sums the last axis with weights: scores f32[T,…,r] by weight f32[…,r] → f32[T,…]. The weight's axes before its last are
 * the scores' axes after the first, from there on: merging rank scores [T,H,n,r] by u [H,r] gives [T,H,n] (UltraMem §1.6).
 */
export function weightedSum(scores: F32, weight: F32): F32 {
  return apply1('weightedSum', 'einsum', [scores, weight], (scores, weight) => {
    const rank = scores.shape.length;
    const shared = weight.shape.length - 1;
    if (shared < 0 || shared > rank - 2) {
      return misfit(
        'weightedSum: the weight has an axis to sum, and at most the axes between',
        weight,
        '[…,r] for [T,…,r]',
      );
    }
    const labels = letters(rank - 1, 'r');
    const between = labels.slice(1, 1 + shared);
    const expected: Dim[] = [...scores.shape.slice(1, 1 + shared), scores.shape.at(-1)!];
    if (!weight.shape.every((dim, i) => dim === expected[i])) {
      return misfit(
        'weightedSum: the weight does not fit the scores',
        weight,
        typeText({ ...scores, shape: expected }),
      );
    }
    return { equation: `${labels}r,${between}r->${labels}` };
  });
}

/** Distinct labels for `count` axes, `t` for the first as tokens usually are, none of those in `taken`. */
export const letters = (count: number, taken: string): string =>
  [...'thabcdefgijlopqsuvwxyzknmr']
    .filter((letter) => !taken.includes(letter))
    .slice(0, count)
    .join('');

const misfit = (message: string, type: Type, wanted: string): Problem => ({
  code: 'wrong-shape',
  message,
  got: typeText(type),
  wanted,
});
