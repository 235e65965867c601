// Products with matrices that each token chooses: the experts of a mixture. Made by fusion.

import { zeros } from '../../support/tensor.ts';
import { floats, indices, shapeOf } from '../host.ts';
import { op } from '../op.ts';
import { f32, shaped } from '../operands.ts';

/**
 * `expert_linear`: x f32[T,D] shared by a token's choices, or f32[T,K,D] with one for each; weights f32[E,N,D], index i32[T,K] →
 * f32[T,K,N]: y[t,k] = weights[index[t,k]]·x[t(,k)]. With scores f32[T,K] the choices are weighted and summed → f32[T,N]:
 * y[t] = Σ_k scores[t,k]·(weights[index[t,k]]·x[t(,k)]).
 */
export const expert_linear = op({
  kind: 'expert_linear',
  inputs: ['x', 'weights', 'index', 'scores?'],
  attrs: {},
  infer(types) {
    const x = types[0]!.shape.length === 3 ? 'f32[T,K,D]' : 'f32[T,D]';
    return shaped('expert_linear', this.inputs, types, [x, 'f32[E,N,D]', 'i32[T,K]', 'f32[T,K]'], (dim) => [
      types.length === 4 ? f32(dim('T'), dim('N')) : f32(dim('T'), dim('K'), dim('N')),
    ]);
  },
  flops({ inputs, count, size }) {
    const [, N, D] = inputs[1]!.shape.map(size) as [number, number, number];
    return 2 * count(inputs[2]) * N * (D + (inputs[3] ? 1 : 0));
  },
  // Every matrix that is chosen is read once, however many choose it.
  bytes({ inputs, results, bytes, count, size }) {
    const [x, weights, ...rest] = inputs;
    const experts = size(weights!.shape[0]);
    const chosen = Math.min(experts, count(inputs[2]));
    const perExpert = experts === 0 ? 0 : bytes(weights) / experts;
    return chosen * perExpert + [x, ...rest, ...results].reduce((n, type) => n + bytes(type), 0);
  },
  run([x, weights, index, scores]) {
    const [E, N, D] = shapeOf(weights) as [number, number, number];
    const [T, K] = shapeOf(index) as [number, number];
    const chosen = indices('expert_linear', index, E);
    const perChoice = shapeOf(x).length === 3;
    const [rows, matrices] = [floats(x), floats(weights)];
    const product = (pair: number, n: number): number => {
      const row = (perChoice ? pair : Math.floor(pair / K)) * D;
      const column = (chosen[pair]! * N + n) * D;
      let sum = 0;
      for (let d = 0; d < D; d++) sum += rows[row + d]! * matrices[column + d]!;
      return sum;
    };
    if (scores === undefined) {
      const out = zeros('f32', [T, K, N]);
      for (let i = 0; i < T * K * N; i++) out.data[i] = product(Math.floor(i / N), i % N);
      return [out];
    }
    const shares = floats(scores);
    const out = zeros('f32', [T, N]);
    for (let i = 0; i < T * N; i++) {
      let sum = 0;
      for (let pair = Math.floor(i / N) * K, k = 0; k < K; k++, pair++) sum += shares[pair]! * product(pair, i % N);
      out.data[i] = sum;
    }
    return [out];
  },
});
