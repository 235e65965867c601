// What keeps kernels from running on a machine, as far as it shows without opening a device.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cudaObstacle, driverLibrary } from '../../src/build/cuda-devices.ts';
import { freshFolder } from '../build-folder.ts';

const test = suite('cuda devices');

/** The obstacle on a machine with a driver library whose nvidia-smi prints `device`. */
async function obstacleWith(device: string) {
  const folder = freshFolder('machine');
  writeFileSync(join(folder, 'libcuda.so.1'), '');
  writeFileSync(join(folder, 'nvidia-smi'), `#!/bin/sh\necho '${device}'\n`, { mode: 0o755 });
  const { PATH, LD_LIBRARY_PATH } = process.env;
  try {
    Object.assign(process.env, { PATH: `${folder}:${PATH}`, LD_LIBRARY_PATH: folder });
    assert.is(await driverLibrary(), join(folder, 'libcuda.so.1'));
    return await cudaObstacle();
  } finally {
    process.env.PATH = PATH;
    if (LD_LIBRARY_PATH === undefined) delete process.env.LD_LIBRARY_PATH;
    else process.env.LD_LIBRARY_PATH = LD_LIBRARY_PATH;
  }
}

test('a device and a driver of today are no obstacle', async () => {
  assert.is(await obstacleWith('9.0, 580.65.06, NVIDIA H100'), undefined);
});

test('a driver of old', async () => {
  const obstacle = (await obstacleWith('7.0, 418.226.00, Tesla V100'))!;
  assert.is(obstacle.code, 'driver-too-old');
  assert.is(obstacle.message, 'the NVIDIA driver is 418.226.00, and 470 or later is wanted');
  assert.match(obstacle.hint!, 'newer NVIDIA driver');
});

test('a driver without a device', async () => {
  const obstacle = await obstacleWith('No devices were found');
  // Where the kernel has device files, opening the device has the last word.
  if (obstacle !== undefined) assert.is(obstacle.code, 'no-device');
});

test('no driver', async () => {
  if ((await driverLibrary()) !== undefined) return console.log('[SKIP] no driver library: this machine has one');
  const obstacle = (await cudaObstacle())!;
  assert.is(obstacle.code, 'no-driver');
  assert.match(obstacle.hint!, 'target cpu');
});

test.run();
