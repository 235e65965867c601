// Words for small factorisations.

import { apply } from './apply.ts';
import type { F32 } from './tensor.ts';

/**
 * Rank-one factors of Tucker cores: core f32[H,r,r], stored u0, v0 f32[H,r] → u, v f32[H,r]. Per head the stored pair where it
 * has a non-zero entry, since its sign is part of the model; else the leading singular vectors with Σu > 0 (UltraMem §1, u and v).
 */
export function rank1(core: F32, u0: F32, v0: F32): [u: F32, v: F32] {
  return apply('rank1', 'rank1', [core, u0, v0], {}, 2) as [F32, F32];
}
