// Names of intermediates that a layer shows for verification, all behind one prefix.

import type { F32, I32, ModelContext } from '../dsl/index.ts';

/** Taps a value under the layer's prefix and returns it. */
export type Tapped = <X extends F32 | I32>(name: string, value: X) => X;

export const tapsOf =
  (m: ModelContext, prefix: string): Tapped =>
  <X extends F32 | I32>(name: string, value: X): X =>
    m.tap<'f32' | 'i32'>(`${prefix}${name}`, value) as X;

/** Refuses a layer whose sizes are not integers of at least 1; undefined where all are. */
export function refuseSizes(m: ModelContext, layer: string, sizes: Readonly<Record<string, number>>): F32 | undefined {
  const bad = Object.entries(sizes).find(([, size]) => !(Number.isSafeInteger(size) && size > 0));
  if (bad === undefined) return undefined;
  return m.refuse(`${layer}: size ${bad[0]}`, { got: String(bad[1]), wanted: 'an integer of at least 1' });
}
