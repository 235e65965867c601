// The bytes of a decode step in two accounts: the paper's own, and all that the plan reads.

import { type CpuPlan, stepBytes } from '../step-bytes.ts';
import type { Distinct } from './decode.ts';
import { type Kind, type Shapes, weightCount } from './shapes.ts';

/** Bytes of one step. */
export interface Bytes {
  /** By the paper's formulas (UltraMem §5): feed-forward parts, experts and value rows alone, as if no two tokens chose the same. */
  readonly paper: number;
  /** Weights that every step reads whole: attention, dense parts, routers, keys as bytes, projections, logits. */
  readonly weights: number;
  /** What its tokens chose: experts, value rows, keys to be scored exactly, rows of the embedding. */
  readonly rows: number;
  /** Keys and values of the positions before. */
  readonly states: number;
}

const BF16 = 2;

/** UltraMem §5, with the sizes of these decoders. */
export function paperBytes({ width: D, layers: L, moe, memory }: Shapes, kind: Kind, batch: number): number {
  if (kind === 'moe') {
    const share = Math.min(moe.kept * batch, moe.experts) / moe.experts;
    return L * moe.experts * 2 * D * moe.inner * share * BF16;
  }
  const dense = 8 * D * D * L;
  if (kind === 'dense') return dense * BF16;
  const rows = Math.min(memory.heads * memory.knn * batch, memory.knum ** 2);
  return (dense + memory.placement.split('/').length * rows * memory.vdim) * BF16;
}

/** Everything a step reads by its plan, with what its tokens were seen to choose. */
export function countedBytes(plan: CpuPlan, batch: number, length: number, distinct: Distinct): Omit<Bytes, 'paper'> {
  return stepBytes(plan, {
    tokens: batch,
    position: length - 1,
    distinct(buffer) {
      const [, block] = /blocks_(\d+)_experts_/.exec(buffer) ?? [];
      if (block !== undefined) return distinct[`block${block}_experts`];
      const [, memory] = /mem_blocks_(\d+)_values_for_look_up$/.exec(buffer) ?? [];
      return memory === undefined ? undefined : distinct[`mem${memory}_slots`];
    },
  });
}

/** Of the weights of a decoder with its embedding, stored as bf16; its stored permutations too. */
export function weightBytes(shapes: Shapes, kind: Kind): number {
  const { memory, vocab, width } = shapes;
  const slots = kind === 'ultramem' ? memory.placement.split('/').length * memory.expansion * memory.knum ** 2 : 0;
  return BF16 * (weightCount(shapes, kind) + vocab * width) + 4 * slots;
}
