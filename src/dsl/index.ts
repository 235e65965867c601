// All the words, and the errors that presets throw for configurations.

export type { WeightPlacement } from '../ir/graph.ts';
export { badConfig, unknownConfig } from '../support/errors/dsl.ts';
export {
  abs,
  add,
  cast,
  constant,
  div,
  exp,
  gelu,
  idiv,
  imod,
  log,
  maximum,
  minimum,
  mul,
  neg,
  relu,
  rsqrt,
  sigmoid,
  silu,
  sqrt,
  square,
  sub,
  tanh,
} from './arithmetic.ts';
export type { Call } from './call-site.ts';
export type { InputOptions, ModelContext, SymbolOptions, Tokens, TokensOptions, WeightOptions } from './declare.ts';
export { rank1 } from './decompositions.ts';
export { embedding, gather, take } from './gathers.ts';
export { isModel, type Model, model, trace, traceCalls } from './model.ts';
export { type LayerNormOptions, layerNorm, type NormOptions, rmsNorm } from './norms.ts';
export { einsum, linear, matmul, weightedSum } from './products.ts';
export { type AxisOptions, groupSum, max, mean, softmax, sum } from './reductions.ts';
export { topk } from './selection.ts';
export {
  type AttentionOptions,
  attention,
  type CausalConvOptions,
  causalConv,
  type RopeOptions,
  rope,
} from './sequences.ts';
export { concat, reshape, slice, split, stack, transpose, unstack } from './shapes.ts';
export type { F32, I32, State, Tensor } from './tensor.ts';
