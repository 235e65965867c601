// expert_groups: one block sorts the choices of a step by expert. expert_linear: blocks of rows of every chosen matrix.

import type { Lower } from './launch.ts';
import { atMost, MAX_EXPERTS, MAX_GRID } from './limits.ts';
import { firstStride, reads, runLength, writes } from './operands.ts';
import { WARPS } from './threads.ts';

/** Warps of the block that groups: experts are counted side by side. */
const GROUPING_WARPS = 16;

export const lowerExpertGroups: Lower<'expert_groups'> = ({ constants: c, rows, reads: r, writes: w, loc }, at) => {
  atMost('expert_linear', 'experts', c.E, MAX_EXPERTS, loc);
  at.emit({
    kernel: 'expert_groups',
    header: 'expert_linear',
    constants: [c.E, c.K, firstStride(r.index!), GROUPING_WARPS],
    rows,
    pointers: [reads('index', r.index), writes('groups', w.groups), writes('pairs', w.pairs)],
    scalars: [],
    grid: [1, 1, 1],
    block: [GROUPING_WARPS * 32, 1, 1],
  });
};

/** Tokens that a warp multiplies at once: their sums and addresses fit its registers. */
const MOST_TOKENS = 8;

export const lowerExpertLinear: Lower<'expert_linear'> = ({ constants: c, rows, reads: r, writes: { y }, loc }, at) => {
  const choices = at.rowsAtMost(rows) * c.K;
  const groups = Math.min(c.E, choices);
  atMost('expert_linear', 'experts of a step', groups, MAX_GRID, loc);
  // Several rows of a matrix share what a warp reads of x; one token alone wants as many warps as there are rows.
  const columns = at.rowsAtMost(rows) === 1 ? 1 : 2;
  const run = runLength(c.D, [r.x!, c.ldx, c.ldk], [r.weights!, c.D]);
  at.emit({
    kernel: 'expert_linear',
    header: 'expert_linear',
    constants: [
      ...[c.E, c.N, c.D, c.K, c.ldx, c.ldk],
      ...[Math.min(MOST_TOKENS, at.rowsAtMost(rows)), columns, run, WARPS],
    ],
    rows,
    pointers: [
      reads('x', r.x),
      reads('w', r.weights),
      reads('groups', r.groups),
      reads('pairs', r.pairs),
      writes('y', y),
    ],
    scalars: [],
    grid: [Math.ceil(c.N / (WARPS * columns)), groups, 1],
    block: [WARPS * 32, 1, 1],
  });
};
