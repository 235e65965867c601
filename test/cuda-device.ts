// Whether this machine has a GPU to run the cuda target on.

import { localDevices } from '../src/build/cuda-devices.ts';

/** True where there is one; else says that tests of `what` are skipped. */
export async function hasCudaDevice(what: string): Promise<boolean> {
  const devices = await localDevices();
  if (devices.length === 0) console.log(`[SKIP] no CUDA device: ${what}`);
  return devices.length > 0;
}
