// Emitted files → a folder with their text and the addon built from them.

import { readFile, rename, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { Backend, Files } from '../codegen/emit.ts';
import { readSwitch, switchesInKey } from '../support/env.ts';
import { compileAborted, folderFault } from '../support/errors/build.ts';
import { cachedFile, cacheFolder } from './cache.ts';
import { runCmake } from './cmake.ts';
import { nativeDigest, nativeFolder, sha256 } from './digest.ts';
import { buildFatbins, chooseArchitectures, findNvcc } from './nvcc.ts';
import { findCmake, findToolchain } from './toolchain.ts';
import { copyAtomically, writeFiles } from './write-files.ts';

export interface BuildOptions {
  /** Folder for the text and the addon. */
  readonly outDir: string;
  /** Processor to build for: `native` or a name that the compiler's -march takes. */
  readonly march?: string | undefined;
  /** `-fsanitize=` values, for tests. */
  readonly sanitize?: string | undefined;
  /** Architectures to build kernels for, where the files hold any: `80`, `sm_90`, `compute_90` (PTX); default: see chooseArchitectures. */
  readonly arch?: readonly string[] | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((stage: string, fraction?: number) => void) | undefined;
}

export interface Built {
  /** The folder with the text and the addon. */
  readonly dir: string;
  /** Path of the addon in it. */
  readonly addon: string;
  /** Of everything that went into the addon. */
  readonly digest: string;
  /** No compiler was started. */
  readonly cached: boolean;
}

/**
 * Writes the emitted files and puts the addon beside them, built or from the cache.
 * @throws UltramemError no-compiler, compiler-too-old, compiler-unusable, unknown-march, no-cmake, compile-failed, aborted,
 * folder-not-writable, disk-full, not-a-folder
 */
export async function buildAddon(name: string, files: Files, options: BuildOptions): Promise<Built> {
  const { outDir, march = 'native', sanitize, signal, onProgress } = options;
  if (signal?.aborted) throw compileAborted(signal.reason);
  try {
    await writeFiles(outDir, files);
  } catch (cause) {
    throw folderFault(outDir, 'output folder', cause, 'Choose another one with --out.');
  }
  const toolchain = await findToolchain(march, cacheFolder());
  const sources = new Map([...files].filter(([path]) => /\.(cc|h|cu)$|^CMakeLists\.txt$|^package\.json$/.test(path)));
  const flags = sanitize === undefined ? '' : `-fsanitize=${sanitize} -fno-omit-frame-pointer -g`;
  const kernels = backendOf(files) === 'cuda' ? await kernelBuild(files, options.arch) : undefined;
  const digest = sha256(
    JSON.stringify([
      [...sources],
      nativeDigest(),
      toolchain.identity,
      march,
      flags,
      switchesInKey(),
      kernels?.nvcc.identity ?? '',
      kernels?.architectures ?? [],
      process.platform,
      process.arch,
      await versions(),
    ]),
  );
  const file = `${name}.node`;
  const { path, cached } = await cachedFile(digest, file, async (folder) => {
    await findCmake();
    await writeFiles(folder, sources);
    if (kernels !== undefined) {
      await buildFatbins({
        ...kernels,
        folder,
        signal,
        onProgress: (fraction) => onProgress?.('compiling kernels', fraction),
      });
    }
    onProgress?.('compiling', 0);
    await runCmake({
      folder,
      compiler: toolchain.compiler,
      definitions: {
        ULTRAMEM_NATIVE: nativeFolder.replace(/\/$/, ''),
        ULTRAMEM_MARCH: march,
        ULTRAMEM_DIGEST: digest.slice(0, 16),
        ...(kernels && {
          ULTRAMEM_KERNELS: folder,
          ULTRAMEM_ARCHITECTURES: kernels.architectures.join(', '),
          ULTRAMEM_TOOLKIT: String(Math.round(Number(kernels.nvcc.version) * 1000)),
        }),
        ULTRAMEM_FLAGS: `${flags} ${readSwitch('CXXFLAGS') ?? ''}`.trim(),
      },
      signal,
      onProgress: (fraction) => onProgress?.('compiling', fraction),
    });
    await rename(join(folder, 'build', 'Release', file), join(folder, file));
    await rm(join(folder, 'build'), { recursive: true, force: true });
  });
  const addon = join(outDir, file);
  try {
    await copyAtomically(path, addon);
  } catch (cause) {
    throw folderFault(outDir, 'output folder', cause, 'Choose another one with --out.');
  }
  return { dir: outDir, addon, digest, cached };
}

/** What the files say that runs their kernels; undefined where the CPU runs the steps. */
function backendOf(files: Files): Backend | undefined {
  if (!files.has('device.cc')) return undefined;
  return [...files.keys()].some((path) => path.startsWith('simt_')) ? 'simt' : 'cuda';
}

/** @throws UltramemError no-nvcc, nvcc-unusable, nvcc-too-old, unknown-arch */
async function kernelBuild(files: Files, arch: readonly string[] | undefined) {
  const nvcc = await findNvcc();
  const architectures = await chooseArchitectures(nvcc, arch);
  return { nvcc, architectures, sources: [...files.keys()].filter((path) => path.endsWith('.cu')) };
}

/** Versions of the packages that a build takes sources or settings from. */
async function versions(): Promise<readonly string[]> {
  const require = createRequire(import.meta.url);
  return Promise.all(
    ['cmake-js', 'node-addon-api'].map(async (name) => {
      const text = await readFile(require.resolve(`${name}/package.json`), 'utf8');
      return `${name} ${(JSON.parse(text) as { version: string }).version}`;
    }),
  );
}
