// What this machine has to run kernels on: the driver's library, and the devices that the driver tells of; or what it lacks.

import { execFile } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { childEnvironment } from '../support/env.ts';
import { cudaMissing } from '../support/errors/cuda.ts';
import type { UltramemError } from '../support/errors.ts';

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

/** Where every loader looks, and where a driver's installer makes it look. */
const loaderFolders = ['/lib64', '/usr/lib64', '/lib', '/usr/lib'];
const usualFolders = ['/usr/local/nvidia/lib64', '/usr/lib/wsl/lib'];

/** Path of the library that a session opens; undefined where the loader would not find it. */
export async function driverLibrary(): Promise<string | undefined> {
  const named = childEnvironment().LD_LIBRARY_PATH?.split(delimiter) ?? [];
  const known = await run('/sbin/ldconfig', ['-p'], { timeout: 10_000, maxBuffer: 1 << 24 }).catch(() => undefined);
  const listed = known?.stdout.match(/^\s*libcuda\.so\.1 .*=> (.*)$/m)?.[1];
  const candidates = named.filter((folder) => folder !== '').map((folder) => join(folder, 'libcuda.so.1'));
  if (listed !== undefined) candidates.push(listed);
  // Without the loader's own list, what is usually on it.
  const folders = known === undefined ? [...loaderFolders, ...usualFolders] : loaderFolders;
  candidates.push(...folders.map((folder) => join(folder, 'libcuda.so.1')));
  return candidates.find((path) => existsSync(path));
}

/** Oldest driver that serves CUDA 11.4, which native/addon/cuda_driver.h wants. */
const oldestDriver = 470;

/** Files that the kernel's part of a driver makes, on Linux, under WSL and on Tegra. */
const deviceFile = /^(nvidia\d+|nvidiactl|dxg|nvhost-ctrl|nvmap)$/;

function hasDeviceFiles(): boolean {
  try {
    return readdirSync('/dev').some((name) => deviceFile.test(name));
  } catch {
    return true; // nothing known: the driver will say
  }
}

/**
 * What keeps kernels from running here, as far as it shows without opening a device: no-driver, no-device or driver-too-old.
 * Undefined is no promise: opening the device has the last word.
 */
export async function cudaObstacle(): Promise<UltramemError | undefined> {
  const [library, devices] = await Promise.all([driverLibrary(), localDevices()]);
  if (library === undefined) return cudaMissing('no-driver', 'no NVIDIA driver: libcuda.so.1 is nowhere');
  const [device] = devices;
  if (device === undefined) {
    return hasDeviceFiles() ? undefined : cudaMissing('no-device', `there is a driver (${library}) and no device`);
  }
  if (Number.parseInt(device.driver, 10) >= oldestDriver) return undefined;
  return cudaMissing('driver-too-old', `the NVIDIA driver is ${device.driver}, and ${oldestDriver} or later is wanted`);
}
