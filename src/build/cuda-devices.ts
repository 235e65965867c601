// What this machine has to run kernels on: the driver's library, and the devices that the driver tells of.

import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { childEnvironment } from '../support/env.ts';

const run = promisify(execFile);

export interface CudaDevice {
  readonly name: string;
  /** `sm_90` */
  readonly arch: string;
  /** Version of the driver, as NVIDIA counts: `580.65.06`. */
  readonly driver: string;
}

/** Devices in the driver's order; none where there is no driver, or no nvidia-smi to ask it. */
export async function localDevices(): Promise<CudaDevice[]> {
  try {
    const args = ['--query-gpu=compute_cap,driver_version,name', '--format=csv,noheader'];
    const { stdout } = await run('nvidia-smi', args, { env: childEnvironment(), timeout: 10_000 });
    return [...stdout.matchAll(/^(\d+)\.(\d), *([\d.]+), *(.+)$/gm)].map(
      ([, major, minor, driver = '', name = '']) => ({ name: name.trim(), arch: `sm_${major}${minor}`, driver }),
    );
  } catch {
    return [];
  }
}

const usualFolders = ['/usr/lib64', '/usr/local/nvidia/lib64', '/usr/lib/wsl/lib'];

/** Path of the library that a session opens; undefined where the loader would not find it. */
export async function driverLibrary(): Promise<string | undefined> {
  const named = childEnvironment().LD_LIBRARY_PATH?.split(delimiter) ?? [];
  const known = await run('/sbin/ldconfig', ['-p'], { timeout: 10_000, maxBuffer: 1 << 24 }).catch(() => undefined);
  const listed = known?.stdout.match(/^\s*libcuda\.so\.1 .*=> (.*)$/m)?.[1];
  const candidates = named.filter((folder) => folder !== '').map((folder) => join(folder, 'libcuda.so.1'));
  if (listed !== undefined) candidates.push(listed);
  // Without a list of the loader's own, its usual folders.
  if (known === undefined) candidates.push(...usualFolders.map((folder) => join(folder, 'libcuda.so.1')));
  return candidates.find((path) => existsSync(path));
}
