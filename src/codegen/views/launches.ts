// Plan launches → views of templates/cpu/kernels: final texts and numbers, nothing left to decide.

import type { Kernel } from '../../plan/launch.ts';
import type { AnyLaunch, Launch } from '../../plan/types.ts';
import { comment, count } from '../cpp.ts';
import { copyView, einsumView, elementwiseView, fillView } from './elementwise.ts';
import { expertGroupsView, expertLinearView } from './expert-linear.ts';
import { gatherRowsView, gatherView } from './gather.ts';
import type { KernelView } from './kernel-view.ts';
import { linearView, packLinearView } from './linear.ts';
import {
  askRowsView,
  gatherDotView,
  gatherPoolView,
  gridTopkView,
  packKeysView,
  poolLinearView,
  rank1View,
  rescoreTopkView,
  scoreTopkView,
  sumGridTopkView,
} from './retrieval.ts';
import { addNormView, groupSumView, normView, reduceView, softmaxView, topkView } from './rowwise.ts';
import { attentionView, causalConvView, ropeView } from './sequence.ts';

/** What every launch's template may read, besides the fields of its own kernel. */
export interface LaunchView {
  /** Name of the template, and of the header where that is not another. */
  readonly template: string;
  readonly header: string;
  readonly comment: string;
  readonly rows: string;
}

const kernelViews: { readonly [K in Kernel]: (launch: Launch<K>) => KernelView } = {
  add_norm: addNormView,
  ask_rows: askRowsView,
  attention: attentionView,
  causal_conv: causalConvView,
  copy: copyView,
  einsum: einsumView,
  elementwise: elementwiseView,
  expert_groups: expertGroupsView,
  expert_linear: expertLinearView,
  fill: fillView,
  gather: gatherView,
  gather_dot: gatherDotView,
  gather_pool: gatherPoolView,
  gather_rows: gatherRowsView,
  grid_topk: gridTopkView,
  group_sum: groupSumView,
  linear: linearView,
  norm: normView,
  pack_keys: packKeysView,
  pack_linear: packLinearView,
  pool_linear: poolLinearView,
  rank1: rank1View,
  reduce: reduceView,
  rescore_topk: rescoreTopkView,
  rope: ropeView,
  score_topk: scoreTopkView,
  softmax: softmaxView,
  sum_grid_topk: sumGridTopkView,
  topk: topkView,
};

/** The view of one launch, with the call site it comes from. */
export function launchView(launch: AnyLaunch): KernelView & LaunchView {
  const view = (kernelViews[launch.kernel] as (launch: AnyLaunch) => KernelView)(launch);
  const place = launch.loc === undefined ? '' : `  (${launch.loc.file}:${launch.loc.line}:${launch.loc.column})`;
  return {
    template: `cpu/kernels/${launch.kernel}`,
    comment: comment(`${launch.computes}${place}`),
    rows: count(launch.rows),
    ...view,
  };
}
