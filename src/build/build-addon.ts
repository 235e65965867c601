// Emitted files → a folder with their text and the addon built from them.

import { readFile, rename, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { Backend, Files } from '../codegen/emit.ts';
import { jsonText } from '../codegen/kernels-json.ts';
import { numericFlags } from '../codegen/simt-flags.ts';
import { readSwitch, switchesInKey } from '../support/env.ts';
import { compileAborted, folderFault } from '../support/errors/build.ts';
import type { OnProgress } from '../support/progress.ts';
import { cachedFile, cacheFolder } from './cache.ts';
import { runCmake } from './cmake.ts';
import { copyDeviceHeaders } from './device-headers.ts';
import { nativeDigest, nativeFolder, sha256 } from './digest.ts';
import { buildFatbins, chooseArchitectures, findNvcc, keepPtx, refuseSpills } from './nvcc.ts';
import { isResources, type KernelResources } from './ptxas-report.ts';
import { sharedObjects } from './shared-objects.ts';
import { findCmake, findToolchain } from './toolchain.ts';
import { copyAtomically, readJsonFile, writeAtomically, writeFiles } from './write-files.ts';

export interface BuildOptions {
  /** Folder for the text and the addon. */
  readonly outDir: string;
  /** Processor to build for: `native` or a name that the compiler's -march takes. */
  readonly march?: string | undefined;
  /** `-fsanitize=` values, for tests. */
  readonly sanitize?: string | undefined;
  /** Architectures to build kernels for, where the files hold any: `80`, `sm_90`, `compute_90` (PTX); default: see chooseArchitectures. */
  readonly arch?: readonly string[] | undefined;
  /** Kernels that may spill registers, by name. */
  readonly allowSpills?: readonly string[] | undefined;
  /** Text of kernels.json to leave in `kernels/` with the kernels' sources and headers, and with PTX and resources.json for cuda. */
  readonly keep?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: OnProgress | undefined;
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
  /** What each kernel takes on each architecture, where nvcc built any. */
  readonly resources?: readonly KernelResources[];
  /** Folder of what `keep` asked for. */
  readonly kept?: string;
}

/**
 * Writes the emitted files and puts the addon beside them, built or from the cache.
 * @throws UltramemError no-compiler, compiler-too-old, compiler-unusable, unknown-march, no-cmake, compile-failed, aborted,
 * folder-not-writable, disk-full, not-a-folder; no-nvcc, nvcc-unusable, nvcc-too-old, unknown-arch, kernel-spills
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
  const ground = [
    ...[nativeDigest(), toolchain.identity, march, flags, switchesInKey()],
    ...[process.platform, process.arch, await versions()],
  ];
  const digest = sha256(
    JSON.stringify([[...sources], ground, kernels?.nvcc.identity ?? '', kernels?.architectures ?? []]),
  );
  const buildKernels = async (folder: string): Promise<readonly KernelResources[]> => {
    const { resources } = await buildFatbins({
      ...kernels!,
      folder,
      allowSpills: options.allowSpills,
      signal,
      onProgress,
    });
    await writeAtomically(join(folder, 'resources.json'), jsonText(resources));
    return resources;
  };
  const file = `${name}.node`;
  const { path, cached } = await cachedFile(digest, file, async (folder) => {
    await findCmake();
    await writeFiles(folder, sources);
    if (kernels !== undefined) {
      await buildKernels(folder);
    }
    const furtherFlags = `${flags} ${readSwitch('CXXFLAGS') ?? ''}`.trim();
    const objects = await sharedObjects(
      ['addon/addon.cc', 'cpu/pool.cc', ...deviceSources[backendOf(files) ?? 'cpu']],
      {
        compiler: toolchain.compiler,
        flags: [...numericFlags(march), '-Wno-psabi', ...furtherFlags.split(/\s+/).filter((flag) => flag !== '')],
        key: JSON.stringify(ground),
        ...{ signal, onProgress },
      },
    );
    onProgress?.({ stage: 'compiling', done: 0, total: 100 });
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
        ULTRAMEM_FLAGS: furtherFlags,
        ULTRAMEM_OBJECTS: objects.join(';'),
      },
      signal,
      onProgress,
    });
    await rename(join(folder, 'build', 'Release', file), join(folder, file));
    await rm(join(folder, 'build'), { recursive: true, force: true });
  });
  const resources = kernels && (await resourcesOf(dirname(path), buildKernels));
  if (resources !== undefined) refuseSpills(resources, options.allowSpills); // an addon of the cache: others may have been allowed
  const addon = join(outDir, file);
  const built = { dir: outDir, addon, digest, cached, ...(resources !== undefined && { resources }) };
  try {
    await copyAtomically(path, addon);
    if (options.keep === undefined) return built;
    onProgress?.({ stage: 'keeping kernels' });
    const kept = join(outDir, 'kernels');
    const texts = [...files].filter(([source]) => source.endsWith('.cu'));
    await writeFiles(kept, new Map([...texts, ['kernels.json', options.keep]]));
    await copyDeviceHeaders(kept);
    if (kernels !== undefined && resources !== undefined) {
      await writeFiles(kept, new Map([['resources.json', jsonText(resources)]]));
      await keepPtx({ ...kernels, folder: outDir, signal }, kept);
    }
    return { ...built, kept };
  } catch (cause) {
    throw folderFault(outDir, 'output folder', cause, 'Choose another one with --out.');
  }
}

/** The report beside a cached addon; made again in the entry where something took it away. */
async function resourcesOf(
  entry: string,
  build: (folder: string) => Promise<readonly KernelResources[]>,
): Promise<readonly KernelResources[]> {
  const known = await readJsonFile(join(entry, 'resources.json'));
  return isResources(known) ? known : build(entry);
}

/** What runs steps besides the model's own sources. */
const deviceSources = {
  cpu: [],
  cuda: ['addon/cuda_device.cc'],
  simt: ['addon/simt_device.cc', 'simt/simt.cc'],
} as const;

/** What the files say that runs their kernels; undefined where the CPU runs the steps. */
function backendOf(files: Files): Backend | undefined {
  if (!files.has('device.cc')) return undefined;
  return files.has('simt.cc') ? 'simt' : 'cuda';
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
