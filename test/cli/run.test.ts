// `ultramem run`: tensors in and out as safetensors, from the reference's own files.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openSafetensors, readTensor } from '../../src/runtime/safetensors.ts';
import '../build-folder.ts';
import { closeTo } from '../ops/compare.ts';
import { inTemporaryFolder, root, ultramem } from './run-command.ts';

const test = suite('run');
const golden = join(root, 'test/reference/goldens/v1_small');
const weights = `${golden}.safetensors`;

/** The case's config as a file of its own. */
function configIn(folder: string): string {
  const path = join(folder, 'config.json');
  writeFileSync(
    path,
    JSON.stringify((JSON.parse(readFileSync(`${golden}.json`, 'utf8')) as { config: unknown }).config),
  );
  return path;
}

for (const target of ['cpu', 'interpreter']) {
  test(`the reference's output on ${target}`, () =>
    inTemporaryFolder(async (folder) => {
      const outputs = join(folder, 'out.safetensors');
      const files = ['--weights', weights, '--inputs', weights, '--outputs', outputs];
      const args = ['run', 'examples/layer.ts', '--config', configIn(folder), ...files, '--target', target, '--json'];
      const { status, stdout, stderr } = ultramem(args);
      assert.is(status, 0, stderr);
      const { outputs: told } = JSON.parse(stdout) as { outputs: Record<string, { shape: number[]; dtype: string }> };
      const [wanted, got] = [await openSafetensors(weights), await openSafetensors(outputs)];
      const y = await readTensor(got, 'out.y');
      closeTo(target, y, await readTensor(wanted, 'out.y'), 1e-5);
      assert.equal(told.y!.shape, [...y.shape]);
    }));
}

test('inputs that lack one are named', () =>
  inTemporaryFolder((folder) => {
    const bare = join(folder, 'in.safetensors');
    const header = Buffer.from('{"q":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}');
    const size = Buffer.alloc(8);
    size.writeBigUInt64LE(BigInt(header.length));
    writeFileSync(bare, Buffer.concat([size, header, Buffer.alloc(4)]));
    const args = ['--config', configIn(folder), '--weights', weights, '--inputs', bare, '--target', 'interpreter'];
    const { status, stderr } = ultramem(['run', 'examples/layer.ts', ...args]);
    assert.is(status, 1);
    assert.match(stderr, /^error cli-inputs-lacking: .* has no x; it has q/m);
  }));

test.run();
