// All ops. A kind of node is a key of this table; tables elsewhere are checked against it (`satisfies Record<Kind, …>`).

import type { AttrsFor, Op } from '../op.ts';
import { add_norm } from './add_norm.ts';
import { attention } from './attention.ts';
import { binary } from './binary.ts';
import { cast } from './cast.ts';
import { causal_conv } from './causal_conv.ts';
import { concat } from './concat.ts';
import { constant } from './constant.ts';
import { einsum } from './einsum.ts';
import { elementwise } from './elementwise.ts';
import { expert_linear } from './expert_linear.ts';
import { gather } from './gather.ts';
import { gather_dot } from './gather_dot.ts';
import { gather_pool } from './gather_pool.ts';
import { grid_topk } from './grid_topk.ts';
import { group_sum } from './group_sum.ts';
import { norm } from './norm.ts';
import { rank1 } from './rank1.ts';
import { reduce } from './reduce.ts';
import { rescore_topk } from './rescore_topk.ts';
import { reshape } from './reshape.ts';
import { rope } from './rope.ts';
import { score_topk } from './score_topk.ts';
import { slice } from './slice.ts';
import { softmax } from './softmax.ts';
import { sum_grid_topk } from './sum_grid_topk.ts';
import { topk } from './topk.ts';
import { transpose } from './transpose.ts';
import { unary } from './unary.ts';

/** Ops of the DSL. */
export const primitiveOps = {
  attention,
  binary,
  cast,
  causal_conv,
  concat,
  constant,
  einsum,
  gather,
  group_sum,
  norm,
  rank1,
  reduce,
  reshape,
  rope,
  slice,
  softmax,
  topk,
  transpose,
  unary,
} as const;

/** Ops that passes make. */
export const fusedOps = {
  add_norm,
  elementwise,
  expert_linear,
  gather_dot,
  gather_pool,
  grid_topk,
  rescore_topk,
  score_topk,
  sum_grid_topk,
} as const;

export const ops = { ...primitiveOps, ...fusedOps } as const;

export type Kind = keyof typeof ops;

/** Attributes of a kind of node. */
export type AttrsOf<K extends Kind> = NonNullable<(typeof ops)[K]['attrsType']>;

export const isKind = (name: string): name is Kind => Object.hasOwn(ops, name);

/** An op by kind, seen as any op. */
export const opOf = (kind: Kind): Op<Kind, unknown> => ops[kind];

export type { AttrsFor };
