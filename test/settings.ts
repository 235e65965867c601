// Switches of test runs: SEED replays random data, FILTER narrows tables to names that contain it, UPDATE=1 rewrites goldens.

import { readSwitch } from '../src/support/env.ts';

/** Seed of random data: fixed unless SEED is set, so that a failure repeats. */
export const seed = Number(readSwitch('SEED') ?? 1);

/** Part of a name; only cases with it run. */
export const filter = readSwitch('FILTER') ?? '';

export const update = readSwitch('UPDATE') === '1';
