// What the retrieval kernels of native/cuda can hold: lists in registers, grids in shared memory.

import type { Loc } from '../../ir/graph.ts';
import { unsupportedShape } from '../../support/errors/plan.ts';

/** Most values that a selection keeps. */
export const MAX_KEPT = 256;
export const MAX_RANKS = 8;
export const MAX_CORES = 8;
export const MAX_GROUPS = 16;
/** Experts that tokens choose from: a count of each lies in shared memory. */
export const MAX_EXPERTS = 4096;
/** Blocks along the second and third axis of a grid. */
export const MAX_GRID = 65535;

/** Shared memory that a block may have on every architecture from 8.0 on. */
export const SHARED_BYTES = 96 * 1024;

/** @throws UltramemError `unsupported-shape` where `value` exceeds `limit` */
export function atMost(op: string, attribute: string, value: number, limit: number, loc: Loc | undefined): void {
  if (value > limit) throw unsupportedShape(op, attribute, `at most ${limit}`, String(value), loc);
}
