// What this machine offers to compile and run models, each fact with what to do where it falls short.

import { execFile } from 'node:child_process';
import { accessSync, constants, mkdirSync, readFileSync, statfsSync } from 'node:fs';
import { availableParallelism, cpus, freemem, totalmem } from 'node:os';
import { promisify } from 'node:util';
import which from 'which';
import { cacheFolder } from './build/cache.ts';
import { cudaObstacle, driverLibrary, localDevices } from './build/cuda-devices.ts';
import { findNvcc } from './build/nvcc.ts';
import { findCmake, findToolchain } from './build/toolchain.ts';
import { UltramemError } from './support/errors.ts';

export { cudaObstacle };

/** One fact about the machine. `missing` keeps the cpu target from working, `limited` does not. */
export interface MachineFact {
  readonly name: string;
  readonly state: 'ok' | 'limited' | 'missing';
  readonly found: string;
  /** What to do about it; undefined where all is well. */
  readonly advice: string | undefined;
}

/** Looks at the machine: programs, processor, memory, cache folder. Runs `--version` of the programs it finds. */
export async function examineMachine(): Promise<MachineFact[]> {
  return [
    node(),
    await checked('C++ compiler', async () => {
      const { version, compiler } = await findToolchain('native', cacheFolder());
      return `${version} (${compiler})`;
    }),
    await checked('CMake', async () => versionLine(await findCmake())),
    await buildTool(),
    processor(),
    memory(),
    cache(),
    await cuda(),
  ];
}

const fact = (name: string, state: MachineFact['state'], found: string, advice?: string): MachineFact => ({
  name,
  state,
  found,
  advice,
});

function node(): MachineFact {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const enough = (major === 20 && minor >= 19) || (major === 22 && minor >= 12) || major > 22;
  const found = `${process.versions.node} (${process.platform} ${process.arch})`;
  return enough ? fact('Node', 'ok', found) : fact('Node', 'missing', found, 'Wanted 20.19 or later, 22.12 or later.');
}

/** What `find` finds; its error is what the machine lacks, its hint the advice. */
async function checked(name: string, find: () => Promise<string>): Promise<MachineFact> {
  try {
    return fact(name, 'ok', await find());
  } catch (error) {
    if (!(error instanceof UltramemError)) throw error;
    return fact(name, 'missing', error.message, error.hint);
  }
}

/** What CMake drives. */
async function buildTool(): Promise<MachineFact> {
  for (const candidate of ['ninja', 'make']) {
    const path = await which(candidate, { nothrow: true });
    if (path !== null) return fact('build tool', 'ok', `${candidate} (${path})`);
  }
  return fact('build tool', 'missing', 'not found', 'Install one: `apt install make`, `brew install ninja`.');
}

async function versionLine(path: string): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(path, ['--version'], { timeout: 10_000 });
    return stdout.trim().split('\n')[0] || 'no version';
  } catch {
    return 'does not run';
  }
}

/** Features that the kernels are specialised to, widest first. */
const features = ['avx512f', 'avx512_bf16', 'avx512_vnni', 'avx2', 'fma', 'f16c', 'asimd', 'sve'];

function processor(): MachineFact {
  const model = cpus()[0]?.model ?? process.arch;
  let flags: string[] = [];
  try {
    const line = readFileSync('/proc/cpuinfo', 'utf8').match(/^(?:flags|Features)\s*:(.*)$/m);
    flags = line?.[1]?.trim().split(/\s+/) ?? [];
  } catch {
    // Only Linux says; elsewhere the compiler's `native` decides without us.
  }
  const found = `${model}, ${availableParallelism()} threads, ${features.filter((f) => flags.includes(f)).join(' ') || 'features unknown'}`;
  if (flags.length > 0 && process.arch === 'x64' && !flags.includes('avx2')) {
    return fact('processor', 'limited', found, 'Without AVX2 the kernels run on 128-bit vectors.');
  }
  return fact('processor', 'ok', found);
}

const gigabytes = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;

function memory(): MachineFact {
  const found = `${gigabytes(freemem())} free of ${gigabytes(totalmem())}`;
  return freemem() < 2 ** 29
    ? fact('memory', 'limited', found, 'The compiler needs about 0.5 GiB; close something or add swap.')
    : fact('memory', 'ok', found);
}

function cache(): MachineFact {
  const folder = cacheFolder();
  try {
    mkdirSync(folder, { recursive: true });
    accessSync(folder, constants.W_OK);
    const { bavail, bsize } = statfsSync(folder);
    return fact('build cache', 'ok', `${folder}, ${gigabytes(bavail * bsize)} free`);
  } catch (error) {
    const why = `${folder}: ${(error as NodeJS.ErrnoException).code ?? (error as Error).message}`;
    return fact('build cache', 'missing', why, 'Set ULTRAMEM_CACHE to a folder that can be written.');
  }
}

/** Compiler, driver and devices; models run on the CPU without any of it. */
async function cuda(): Promise<MachineFact> {
  const [compiler, library, devices, obstacle] = await Promise.all([
    findNvcc().catch((error: unknown) => {
      if (error instanceof UltramemError) return error;
      throw error;
    }),
    driverLibrary(),
    localDevices(),
    cudaObstacle(),
  ]);
  const unbuilt =
    compiler instanceof UltramemError ? [] : devices.filter(({ arch }) => !compiler.architectures.includes(arch));
  const nvcc = compiler instanceof UltramemError ? compiler.message : `nvcc ${compiler.version} (${compiler.path})`;
  const driver = library === undefined ? 'no driver library' : `driver ${devices[0]?.driver ?? ''} (${library})`;
  const each = devices.map(({ name, arch }) => `${name} (${arch})`);
  const found = [nvcc, driver.replace('  ', ' '), each.join(', ') || 'no device'].join('; ');
  const advice = [
    ...(compiler instanceof UltramemError ? [compiler.hint ?? ''] : []),
    ...unbuilt.map(({ name, arch }) => `This nvcc has no ${arch} for ${name}: install a newer CUDA toolkit.`),
    ...(obstacle === undefined ? [] : [`target cuda: ${obstacle.code}, ${obstacle.message}. ${obstacle.hint ?? ''}`]),
  ];
  return advice.length === 0 ? fact('CUDA', 'ok', found) : fact('CUDA', 'limited', found, advice.join(' '));
}
