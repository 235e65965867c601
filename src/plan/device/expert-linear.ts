// expert_groups: one block sorts the choices of a step by expert. expert_linear: blocks of rows of every chosen matrix; bf16 goes
// through tensor cores where there is more than one token.

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

/** Columns of a block of expert_linear_mma, and tokens of one of its tiles. */
const [COLUMNS, TILE] = [16, 8];

/** Tokens that a warp multiplies at once: their sums and addresses fit its registers. */
const MOST_TOKENS = 8;

export const lowerExpertLinear: Lower<'expert_linear'> = ({ constants: c, rows, reads: r, writes: { y }, loc }, at) => {
  const choices = at.rowsAtMost(rows) * c.K;
  const groups = Math.min(c.E, choices);
  atMost('expert_linear', 'experts of a step', groups, MAX_GRID, loc);
  const most = at.rowsAtMost(rows);
  const run = runLength(c.D, [r.x!, c.ldx, c.ldk], [r.weights!, c.D]);
  const launch = {
    rows,
    pointers: [
      reads('x', r.x),
      reads('w', r.weights),
      reads('groups', r.groups),
      reads('pairs', r.pairs),
      writes('y', y),
    ],
    scalars: [],
  };
  const sizes = [c.E, c.N, c.D, c.K, c.ldx, c.ldk];
  if (most > 1 && run === 8 && [r.x!, r.weights!].every(({ dtype }) => dtype === 'bf16')) {
    const warps = c.D < 512 ? 4 : 8;
    at.emit({
      ...launch,
      kernel: 'expert_linear_mma',
      header: 'expert_linear',
      constants: [...sizes, most > TILE ? 2 : 1, warps],
      grid: [Math.ceil(c.N / COLUMNS), groups, 1],
      block: [warps * 32, 1, 1],
    });
    return;
  }
  // Several rows of a matrix share what a warp reads of x; one token alone wants as many warps as there are rows.
  const columns = most === 1 ? 1 : 2;
  at.emit({
    ...launch,
    kernel: 'expert_linear',
    header: 'expert_linear',
    constants: [...sizes, Math.min(MOST_TOKENS, most), columns, run, WARPS],
    grid: [Math.ceil(c.N / (WARPS * columns)), groups, 1],
    block: [WARPS * 32, 1, 1],
  });
};
