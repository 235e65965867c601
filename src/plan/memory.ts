// How many bytes a loaded model and a session take.

import type { Graph, Type } from '../ir/graph.ts';
import { dtypeBytes } from '../support/dtype.ts';
import type { MemoryEstimate, PlanTensor, Schedule, Variant } from './types.ts';
import { elementsPerToken } from './views.ts';

/** Bytes of a tensor with every symbolic dim taken as 1. */
const bytesOf = (type: Type): number => elementsPerToken(type.shape) * dtypeBytes[type.dtype];

export function estimateMemory(
  graph: Graph,
  weights: readonly PlanTensor[],
  prepare: Schedule,
  preparedBytes: number,
  variants: readonly Pick<Variant, 'bytes'>[],
): MemoryEstimate {
  const sum = (types: readonly Type[]) => types.reduce((n, type) => n + bytesOf(type), 0);
  return {
    weights: sum(weights.map((w) => w.type)),
    retained: sum(weights.filter((w) => w.retained && w.placement === 'memory').map((w) => w.type)),
    inFile: sum(weights.filter((w) => w.retained && w.placement === 'file').map((w) => w.type)),
    prepared: preparedBytes,
    prepareScratch: prepare.bytes,
    statePerSequence: sum(graph.states.map((s) => s.type)),
    arena: Math.max(0, ...variants.map((v) => v.bytes)),
  };
}
