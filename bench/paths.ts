// Where things lie, from the root of the repository, whatever the working directory is.

import { fileURLToPath } from 'node:url';

/** An absolute path from one that begins at the root. */
export const fromRoot = (path: string): string => fileURLToPath(new URL(`../${path}`, import.meta.url));
