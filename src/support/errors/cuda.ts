// Errors of the cuda target: nvcc, the kernels it builds, and the device that runs them.

import { UltramemError } from '../errors.ts';
import { didYouMean } from '../suggest.ts';

export const noNvcc = (tried: readonly string[]): UltramemError =>
  new UltramemError('no-nvcc', `nvcc was not found (tried ${tried.join(', ')})`, {
    hint: 'Install the CUDA toolkit 12 or later and put nvcc on the PATH, or set CUDA_HOME to its folder. Only building for cuda needs it.',
    details: { tried },
  });

export const nvccUnusable = (path: string, output: string): UltramemError =>
  new UltramemError('nvcc-unusable', `${path} does not work as a CUDA compiler`, {
    hint: 'Run it by hand with --version, or set CUDA_HOME to the folder of another CUDA toolkit.',
    details: { path, output },
  });

export const nvccTooOld = (path: string, found: string, wanted: string): UltramemError =>
  new UltramemError('nvcc-too-old', `${path} is of CUDA ${found}; C++20 in kernels needs CUDA ${wanted}`, {
    hint: 'Install a newer CUDA toolkit, or set CUDA_HOME to the folder of one.',
    details: { path, found, wanted },
  });

/** An architecture that this nvcc cannot build, of those that it can. */
export const unknownArch = (arch: string, known: readonly string[], nvcc: string): UltramemError =>
  new UltramemError(
    'unknown-arch',
    `${nvcc} builds nothing for "${arch}"; it knows ${known.join(', ')}.${didYouMean(arch, known)}`,
    {
      hint: 'Name architectures as 80 or sm_80 (code of that device) or compute_80 (PTX, which the driver translates), with commas between.',
      details: { arch, known, nvcc },
    },
  );

export interface Spill {
  readonly kernel: string;
  readonly arch: string;
  /** Bytes per thread. */
  readonly spillStores: number;
  readonly spillLoads: number;
  readonly registers: number;
}

/** Kernels that do not fit into their registers: the numbers are right, but memory traffic nobody asked for. */
export function kernelSpills(spills: readonly Spill[]): UltramemError {
  const lines = spills.map(
    ({ kernel, arch, spillStores, spillLoads, registers }) =>
      `\n  ${kernel} (${arch}): ${spillStores} bytes of stores, ${spillLoads} of loads per thread, with ${registers} registers`,
  );
  const names = [...new Set(spills.map(({ kernel }) => kernel))];
  return new UltramemError('kernel-spills', `registers spill to memory in${lines.join('')}`, {
    hint: `Give the kernel fewer values per thread or larger __launch_bounds__, leave the architecture out, or allow it by name: --allow-spill ${names.join(',')}.`,
    details: { spills },
  });
}

const hints = {
  'no-driver': "Install NVIDIA's driver (`nvidia-smi` shows whether it works), or run on the CPU: target cpu.",
  'driver-too-old': 'Install a newer NVIDIA driver, or run on the CPU: target cpu.',
  'no-device':
    'Look at `nvidia-smi` and CUDA_VISIBLE_DEVICES; in a container, start it with the GPU handed in. Or run on the CPU: target cpu.',
  'no-kernel-image':
    "Compile the model again with this device's architecture in --arch, or run on the CPU: target cpu.",
  'cuda-failed':
    'The session cannot go on; open a new one. If it happens again, please report it with the kernel and the line it came from.',
} as const;

/** What keeps this machine from running kernels, where that can be seen without trying. */
export const cudaMissing = (code: 'no-driver' | 'driver-too-old' | 'no-device', message: string): UltramemError =>
  new UltramemError(code, message, { hint: hints[code] });

/** Codes of what target auto falls back for: nothing here to build kernels, to run them, or for them to do. */
const avoidable: readonly string[] = [
  ...['no-nvcc', 'nvcc-unusable', 'nvcc-too-old'],
  ...['no-driver', 'driver-too-old', 'no-device', 'no-kernel-image'],
  'unsupported-shape',
];

/** Whether the CPU may do what failed on a device with this error; faults of a device that was found are told instead. */
export const isAvoidable = (error: unknown): error is UltramemError =>
  error instanceof UltramemError && avoidable.includes(error.code);

/** What a device's fault of the addon means to its user; undefined where the code is none of a device. */
export function cudaFault(
  code: string | undefined,
  cause: Error,
  subject: string | undefined,
): UltramemError | undefined {
  if (code === undefined || !(code in hints)) return undefined;
  return new UltramemError(code, cause.message, {
    hint: hints[code as keyof typeof hints],
    cause,
    details: subject === undefined ? {} : { subject },
  });
}
