// Switches of test runs: SEED replays random data, FILTER narrows tables to names that contain it, UPDATE=1 rewrites goldens.

/** Seed of random data: fixed unless SEED is set, so that a failure repeats. */
export const seed = Number(process.env.SEED ?? 1);

/** Part of a name; only cases with it run. */
export const filter = process.env.FILTER ?? '';

export const update = process.env.UPDATE === '1';
