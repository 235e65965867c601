// Pooling and the projection of what was pooled as one launch, where many tokens make it worth it: value rows of one tile of tokens
// are fetched while another tile is multiplied. Adds no work, saves the waits for memory.

import type { AnyLaunch, Launch } from './types.ts';

/** `launches` with every pair that allows it joined. `isTemporary`: whether a buffer is gone after the step. */
export function fusePoolLinear(
  launches: readonly AnyLaunch[],
  isTemporary: (buffer: string) => boolean,
): readonly AnyLaunch[] {
  const touches = (launch: AnyLaunch, buffer: string) =>
    [...Object.values(launch.reads), ...Object.values(launch.writes)].some((view) => view?.buffer === buffer);
  const joined = new Map<AnyLaunch, readonly AnyLaunch[]>();
  for (const pool of launches) {
    if (pool.kernel !== 'gather_pool' || !pool.rows.tokens || pool.rows.factor !== 1) continue;
    const { y } = pool.writes;
    const [linear, ...others] = launches.filter((launch) => launch !== pool && touches(launch, y.buffer));
    if (linear?.kernel !== 'linear' || others.length > 0 || !isTemporary(y.buffer)) continue;
    const width = pool.constants.G * pool.constants.D;
    const x = linear.reads.x;
    const whole = y.offset === 0 && x?.offset === 0 && linear.constants.K === width && linear.constants.ldx === width;
    if (!whole || !linear.rows.tokens || linear.rows.factor !== 1) continue;
    joined.set(pool, []);
    joined.set(linear, [poolLinear(pool, linear)]);
  }
  return launches.flatMap((launch) => joined.get(launch) ?? [launch]);
}

function poolLinear(pool: Launch<'gather_pool'>, linear: Launch<'linear'>): Launch<'pool_linear'> {
  return {
    ...linear,
    kernel: 'pool_linear',
    constants: { ...pool.constants, out: linear.constants.N, ldy: linear.constants.ldy },
    reads: { ...pool.reads, packed: linear.reads.packed },
    writes: { pooled: pool.writes.y, y: linear.writes.y },
    computes: `${pool.computes}; ${linear.computes}`,
    nodes: [...pool.nodes, ...linear.nodes],
  };
}
