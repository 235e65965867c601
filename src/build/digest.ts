// Digests of texts and of the native sources: what the build cache's key is made of.

import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Folder of the native sources, with a slash at its end. */
export const nativeFolder = fileURLToPath(new URL('../../native/', import.meta.url));

export const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

/** Digest of every source that an addon compiles from `native/`, by name and content. */
export function nativeDigest(): string {
  const hash = createHash('sha256');
  for (const folder of ['addon', 'cpu', 'cuda', 'simt', 'simt/cuda']) {
    for (const name of readdirSync(join(nativeFolder, folder)).sort()) {
      if (/\.(h|cc|cuh)$/.test(name))
        hash.update(`${folder}/${name}\n`).update(readFileSync(join(nativeFolder, folder, name)));
    }
  }
  return hash.digest('hex');
}
