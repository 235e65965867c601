// Which kernel an op gets: one function per kind of node.

import type { Kind } from '../../ir/ops/index.ts';
import { planEinsum } from './einsum.ts';
import { planBinary, planElementwise, planUnary } from './elementwise.ts';
import { planExpertLinear } from './expert-linear.ts';
import { planGather } from './gather.ts';
import { planCast, planConcat, planConstant, planReshape, planSlice, planTranspose } from './movement.ts';
import type { PlanOp } from './operands.ts';
import {
  planGatherDot,
  planGatherPool,
  planGridTopk,
  planRank1,
  planRescoreTopk,
  planScoreTopk,
  planSumGridTopk,
} from './retrieval.ts';
import { planAddNorm, planGroupSum, planNorm, planReduce, planSoftmax, planTopk } from './rowwise.ts';
import { planAttention, planCausalConv, planRope } from './sequence.ts';

export const kernelChoice = {
  add_norm: planAddNorm,
  attention: planAttention,
  binary: planBinary,
  cast: planCast,
  causal_conv: planCausalConv,
  concat: planConcat,
  constant: planConstant,
  einsum: planEinsum,
  elementwise: planElementwise,
  expert_linear: planExpertLinear,
  gather: planGather,
  gather_dot: planGatherDot,
  gather_pool: planGatherPool,
  grid_topk: planGridTopk,
  group_sum: planGroupSum,
  norm: planNorm,
  rank1: planRank1,
  reduce: planReduce,
  rescore_topk: planRescoreTopk,
  reshape: planReshape,
  rope: planRope,
  score_topk: planScoreTopk,
  slice: planSlice,
  softmax: planSoftmax,
  sum_grid_topk: planSumGridTopk,
  topk: planTopk,
  transpose: planTranspose,
  unary: planUnary,
} satisfies Record<Kind, PlanOp>;
