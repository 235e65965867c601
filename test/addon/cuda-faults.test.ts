// A model built for cuda on a machine that cannot run it: which thing is missing, and what to do. The addon itself always loads.

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { model, rmsNorm } from 'ultramem';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { driverLibrary } from '../../src/build/cuda-devices.ts';
import { findNvcc } from '../../src/build/nvcc.ts';
import { compile } from '../../src/compile.ts';
import { requireAddon } from '../../src/runtime/index.ts';
import { childEnvironment, readSwitch } from '../../src/support/env.ts';
import { UltramemError } from '../../src/support/errors.ts';
import { freshFolder } from '../build-folder.ts';

const test = suite('cuda: what is missing');
const run = promisify(execFile);
const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));

const tiny = model('tiny', (m) => {
  m.output('y', rmsNorm(m.input('x', [m.symbol('T'), 8]), m.weight('w', [8])));
});

const nvcc = await findNvcc().catch((error: unknown) => {
  if (!(error instanceof UltramemError)) throw error;
  console.log(`[SKIP] models built for cuda: ${error.message}`);
});

if (nvcc !== undefined) {
  const dir = freshFolder('cuda-faults');
  const driver = freshFolder('fake-driver');
  let built: Promise<string> | undefined;

  /** The addon, with the driver beside it; a hook that fails would leave uvu content. */
  async function build(): Promise<string> {
    const library = join(driver, 'libcuda.so.1');
    const flags = ['-std=c++20', '-shared', '-fPIC', path('../native/fake-cuda.cc'), '-o', library];
    await run(readSwitch('CXX') ?? 'g++', flags);
    return (await compile(tiny, { target: 'cuda', arch: ['80'], outDir: dir })).addon;
  }

  /** The error of loading weights, with a driver that answers so; without `fake` whatever driver the machine has. */
  async function loading(
    fake?: Readonly<Record<string, string>>,
  ): Promise<{ code: string; message: string; hint: string }> {
    await (built ??= build());
    const env = childEnvironment(
      fake === undefined ? {} : { LD_LIBRARY_PATH: driver, FAKE_LOG: join(driver, 'log'), ...fake },
    );
    const args = ['--import', 'tsx', path('load-cuda.ts'), dir];
    const { stdout } = await run(process.execPath, args, { env, cwd: path('../..'), timeout: 300_000 });
    return JSON.parse(stdout);
  }

  test('the addon loads and describes itself, whatever the machine has', async () => {
    const addon = await (built ??= build());
    assert.is(requireAddon(pathToFileURL(addon).href, 'tiny.node').describe().name, 'tiny');
  });

  test('no driver', async () => {
    if ((await driverLibrary()) !== undefined) return console.log('[SKIP] no driver library: this machine has one');
    const { code, message, hint } = await loading();
    assert.is(code, 'no-driver');
    assert.match(message, 'no NVIDIA driver: libcuda.so.1');
    assert.match(hint, "Install NVIDIA's driver");
    assert.match(hint, 'target cpu');
  });

  const faults: readonly [code: string, fake: Record<string, string>, message: RegExp, hint: RegExp][] = [
    ['driver-too-old', { FAKE_VERSION: '11020' }, /serves CUDA 11\.2, and CUDA 11\.4 or later/, /newer NVIDIA driver/],
    ['no-device', { FAKE_COUNT: '0' }, /finds no device/, /nvidia-smi.*container/],
    [
      'no-kernel-image',
      { FAKE_FAIL: 'cuModuleLoadData=209' },
      /Fake 90 \(sm_90\) has no kernels here: the model was built for sm_80/,
      /this device's architecture in --arch/,
    ],
  ];
  for (const [wanted, fake, said, advice] of faults) {
    test(wanted, async () => {
      const { code, message, hint } = await loading(fake);
      assert.is(code, wanted);
      assert.match(message, said);
      assert.match(hint, advice);
    });
  }

  test('with a driver, a device and kernels for it, it loads', async () => {
    assert.is((await loading({})).code, 'loaded');
  });
}

test.run();
