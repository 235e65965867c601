// The cache of built addons, and of objects that they share: by digest of everything that goes into one. No locks: an addon is built in a folder of its
// own and renamed into place; whoever comes second finds it there. A checksum beside it tells an entry that a crash, a full
// disk or a cleaner damaged: it is built again, since loading half an addon can kill the process.

import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import envPaths from 'env-paths';
import { readSwitch } from '../support/env.ts';
import { folderFault } from '../support/errors/build.ts';

/** Folder of the cache: ULTRAMEM_CACHE, or the user's cache folder. */
export const cacheFolder = (): string => readSwitch('ULTRAMEM_CACHE') ?? envPaths('ultramem', { suffix: '' }).cache;

const cacheHint = 'Set ULTRAMEM_CACHE to a folder that can be written and has room.';

/**
 * The path of the file `name` of entry `digest`. Where it is absent, `make` fills a temporary folder with it first.
 * `cached` says that nothing had to be made.
 */
export async function cachedFile(
  digest: string,
  name: string,
  make: (folder: string) => Promise<void>,
  shelf: 'addons' | 'objects' = 'addons',
): Promise<{ readonly path: string; readonly cached: boolean }> {
  const cache = cacheFolder();
  const entry = join(cache, shelf, digest.slice(0, 32));
  const path = join(entry, name);
  if (await isIntact(path)) return { path, cached: true };
  const temporary = join(cache, 'building', `${digest.slice(0, 12)}-${process.pid}-${randomBytes(4).toString('hex')}`);
  try {
    await mkdir(temporary, { recursive: true });
    await mkdir(join(cache, shelf), { recursive: true });
    await make(temporary);
    const made = join(temporary, name);
    await writeFile(`${made}.sha256`, await checksum(made));
    await moveIntoPlace(temporary, entry, path);
    return { path, cached: false };
  } catch (cause) {
    throw folderFault(cache, 'build cache', cause, cacheHint);
  } finally {
    await rm(temporary, { recursive: true, force: true }).catch(() => undefined);
  }
}

async function moveIntoPlace(temporary: string, entry: string, path: string): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await rename(temporary, entry);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if ((code !== 'ENOTEMPTY' && code !== 'EEXIST') || attempt === 3) throw error;
    }
    if (await isIntact(path)) return; // another process was quicker; its addon has the same digest
    await rm(entry, { recursive: true, force: true });
  }
}

/** Whether the file is there with the content that its checksum beside it names. */
async function isIntact(path: string): Promise<boolean> {
  try {
    return (await readFile(`${path}.sha256`, 'utf8')) === (await checksum(path));
  } catch {
    return false;
  }
}

const checksum = async (path: string): Promise<string> =>
  createHash('sha256')
    .update(await readFile(path))
    .digest('hex');
