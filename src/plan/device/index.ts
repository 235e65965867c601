// Which launches of a device a launch of the plan becomes.

import { unsupportedShape } from '../../support/errors/plan.ts';
import type { Kernel } from '../launch.ts';
import type { AnyLaunch, Launch } from '../types.ts';
import { lowerAttention } from './attention.ts';
import { lowerEinsum } from './einsum.ts';
import { lowerCopy, lowerElementwise } from './elementwise.ts';
import { lowerExpertGroups, lowerExpertLinear } from './expert-linear.ts';
import { lowerGather, lowerGatherRows } from './gather.ts';
import { lowerGatherDot } from './gather-dot.ts';
import { lowerGatherPool } from './gather-pool.ts';
import { lowerGridTopk } from './grid-topk.ts';
import type { DeviceScheduler, Lower } from './launch.ts';
import { lowerLinear } from './linear.ts';
import { lowerAddNorm, lowerNorm } from './norm.ts';
import { lowerRescoreTopk } from './rescore-topk.ts';
import { lowerGroupSum, lowerReduce, lowerSoftmax } from './rowwise.ts';
import { lowerScoreTopk } from './score-topk.ts';
import { lowerCausalConv, lowerRope } from './sequence.ts';
import { lowerSumGridTopk } from './sum-grid-topk.ts';
import { lowerTopk } from './topk.ts';

/** Kernels that are missing here run in prepare alone, which stays on the CPU. */
const lowerings: { readonly [K in Kernel]?: Lower<K> } = {
  add_norm: lowerAddNorm,
  attention: lowerAttention,
  causal_conv: lowerCausalConv,
  copy: lowerCopy,
  einsum: lowerEinsum,
  elementwise: lowerElementwise,
  expert_groups: lowerExpertGroups,
  expert_linear: lowerExpertLinear,
  gather: lowerGather,
  gather_dot: lowerGatherDot,
  gather_pool: lowerGatherPool,
  gather_rows: lowerGatherRows,
  group_sum: lowerGroupSum,
  grid_topk: lowerGridTopk,
  linear: lowerLinear,
  norm: lowerNorm,
  reduce: lowerReduce,
  rescore_topk: lowerRescoreTopk,
  rope: lowerRope,
  score_topk: lowerScoreTopk,
  softmax: lowerSoftmax,
  sum_grid_topk: lowerSumGridTopk,
  topk: lowerTopk,
};

/** @throws UltramemError `unsupported-shape` where no kernel of native/cuda serves the launch */
export function lower(launch: AnyLaunch, at: DeviceScheduler): void {
  const own = lowerings[launch.kernel] as ((launch: Launch, at: DeviceScheduler) => void) | undefined;
  if (own === undefined) {
    throw unsupportedShape(launch.kernel, 'its place', 'prepare, which runs on the CPU', 'a step', launch.loc);
  }
  own(launch as Launch, at);
}
