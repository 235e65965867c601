// The kernels of native/cpu as the plan sees them: their template constants, what they read and what they write.

type Sizes<K extends string> = Readonly<Record<K, number>>;
type Lists<K extends string> = Readonly<Record<K, readonly number[]>>;

/** One entry per kernel; codegen/views has a view for each, and tsc says which is missing. */
export interface KernelForms {
  /** One scalar, written by prepare. */
  fill: { constants: { readonly value: number }; reads: never; writes: 'y' };
  /** Strided copy with conversion, over the axes inside T. */
  copy: { constants: Lists<'dims' | 'xStrides' | 'yStrides'>; reads: 'x'; writes: 'y' };
  /** `expr` over operands named a, b, c …; scalars that are known stand in `literals` by name. */
  elementwise: {
    constants: {
      readonly expr: string;
      readonly dims: readonly number[];
      /** Strides of each operand over dims. */
      readonly strides: readonly (readonly number[])[];
      readonly literals: Readonly<Record<string, number>>;
    };
    reads: string;
    writes: 'y';
  };
  reduce: { constants: Sizes<'outer' | 'N' | 'inner'> & { readonly fn: string }; reads: 'x'; writes: 'y' };
  einsum: {
    constants: Lists<'dims' | 'aStrides' | 'bStrides'> & Sizes<'yRank'>;
    reads: 'a' | 'b';
    writes: 'y';
  };
  pack_linear: { constants: Sizes<'N' | 'K' | 'ldn' | 'ldk'>; reads: 'w'; writes: 'packed' };
  /** Keys of all heads as panels of bytes, with what bounds scores by them. */
  pack_keys: { constants: Sizes<'H' | 'N' | 'D'>; reads: 'keys'; writes: 'packed' };
  linear: { constants: Sizes<'N' | 'K' | 'ldx' | 'ldy'>; reads: 'x' | 'packed'; writes: 'y' };
  gather_rows: { constants: Sizes<'N' | 'D' | 'M'>; reads: 'table' | 'index'; writes: 'y' };
  gather: {
    constants: Lists<'dims' | 'sourceStrides' | 'indexStrides'> & Sizes<'count' | 'stride'>;
    reads: 'source' | 'index';
    writes: 'y';
  };
  softmax: { constants: Sizes<'H' | 'D'>; reads: 'x'; writes: 'y' };
  norm: {
    constants: Sizes<'H' | 'D' | 'eps' | 'ldx' | 'ldy'> & { readonly type: string };
    reads: 'x' | 'weight' | 'bias';
    writes: 'y';
  };
  add_norm: {
    constants: Sizes<'D' | 'eps' | 'ldx' | 'ldr' | 'lds' | 'ldy'> & { readonly type: string };
    reads: 'x' | 'r' | 'weight' | 'bias';
    writes: 'sum' | 'y';
  };
  topk: { constants: Sizes<'N' | 'K' | 'ldx'>; reads: 'x'; writes: 'values' | 'index' };
  group_sum: { constants: Sizes<'R' | 'D' | 'G'>; reads: 'x' | 'group'; writes: 'y' };
  rope: {
    constants: Sizes<'H' | 'D' | 'theta'> & { readonly layout: string };
    reads: 'x' | 'positions';
    writes: 'y';
  };
  attention: {
    constants: Sizes<'Hq' | 'Hkv' | 'D' | 'C' | 'scale'>;
    reads: 'q' | 'k' | 'v' | 'positions' | 'sequence';
    writes: 'kcache' | 'vcache' | 'y';
  };
  causal_conv: {
    constants: Sizes<'D' | 'K'>;
    reads: 'x' | 'w' | 'positions' | 'sequence';
    writes: 'window' | 'y';
  };
  rank1: { constants: Sizes<'H' | 'R'>; reads: 'core' | 'u0' | 'v0'; writes: 'u' | 'v' };
  score_topk: {
    constants: Sizes<'H' | 'N' | 'D' | 'K'> & { readonly perHead: boolean };
    /** `packed`: what pack_keys made of the keys; null where a device runs it. */
    reads: 'q' | 'keys' | 'packed';
    writes: 'values' | 'index';
  };
  gather_dot: {
    constants: Sizes<'H' | 'N' | 'R' | 'D' | 'M' | 'queryHead' | 'queryRank'>;
    reads: 'q' | 'keys' | 'index';
    writes: 'y';
  };
  /** The choices [T,K] of a step by expert: see native/cpu/expert_linear.h. */
  expert_groups: { constants: Sizes<'E' | 'K'>; reads: 'index'; writes: 'groups' | 'pairs' };
  /** `ldx`: from token to token; `ldk`: from choice to choice of a token, 0 where they share x. */
  expert_linear: {
    constants: Sizes<'E' | 'N' | 'D' | 'K' | 'ldx' | 'ldk'>;
    reads: 'x' | 'weights' | 'groups' | 'pairs';
    writes: 'y';
  };
  grid_topk: {
    constants: Sizes<'H' | 'M' | 'R' | 'C' | 'K'>;
    reads: 'row' | 'col' | 'core';
    writes: 'position' | 'scores';
  };
  /** Lists of M sorted scores a side and their keys' indices; slots are rowIndex·N + colIndex, or what `shuffle` has there. */
  sum_grid_topk: {
    constants: Sizes<'H' | 'N' | 'M' | 'K'>;
    reads: 'row' | 'col' | 'rowIndex' | 'colIndex' | 'shuffle';
    writes: 'slot' | 'scores';
  };
  rescore_topk: {
    constants: Sizes<
      'H' | 'N' | 'R' | 'D' | 'M' | 'C' | 'K' | 'queryHead' | 'queryRank' | 'nextRows' | 'nextRowBytes'
    > & {
      readonly nextInFile: boolean;
    };
    /** `next`: the value table that is read after, touched ahead; null for none. */
    reads: 'rowIndex' | 'colIndex' | 'qRow' | 'qCol' | 'keysRow' | 'keysCol' | 'core' | 'shuffle' | 'next';
    writes: 'slot' | 'scores';
  };
  /** Asks for the pages of the rows of a table that stays in its file; writes nothing. */
  ask_rows: { constants: Sizes<'N' | 'rowBytes' | 'R'>; reads: 'table' | 'slot'; writes: never };
  gather_pool: {
    constants: Sizes<'N' | 'D' | 'R' | 'C' | 'G'>;
    /** `scale`: a factor for each row of a quantised table; null for others. */
    reads: 'table' | 'scale' | 'slot' | 'scores';
    writes: 'y';
  };
  /** gather_pool and the linear [out, G·D] that reads what it pools. */
  pool_linear: {
    constants: Sizes<'N' | 'D' | 'R' | 'C' | 'G' | 'out' | 'ldy'>;
    reads: 'table' | 'scale' | 'slot' | 'scores' | 'packed';
    writes: 'pooled' | 'y';
  };
}

export type Kernel = keyof KernelForms;
