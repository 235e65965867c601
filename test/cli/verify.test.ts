// `ultramem verify` on the reference's cases, as they are and with one value altered.

import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openSafetensors } from '../../src/runtime/safetensors.ts';
import { inTemporaryFolder, root, ultramem } from './run-command.ts';

const goldens = join(root, 'test/reference/goldens');
const test = suite('verify');

interface Verdict {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  readonly cases: readonly {
    name: string;
    state: string;
    reason?: string;
    comparisons: readonly Compared[];
    notKept: string[];
  }[];
}
interface Compared {
  readonly name: string;
  readonly ok: boolean;
  readonly error: number;
}

for (const target of ['interpreter', 'cpu'] as const) {
  test(`a case on ${target}, as JSON`, () => {
    const { status, stdout, stderr } = ultramem([
      'verify',
      join(goldens, 'v1_small.safetensors'),
      '--target',
      target,
      '--json',
    ]);
    const { passed, cases } = JSON.parse(stdout) as Verdict;
    assert.equal([status, passed, stderr], [0, 1, '']);
    const names = cases[0]!.comparisons.map(({ name }) => name);
    for (const name of ['out.y', 'mid.shuffled_index', 'mid.lookup_scores']) assert.ok(names.includes(name), name);
    if (target === 'interpreter') assert.equal([names.length, cases[0]!.notKept.length], [22, 0]);
  });
}

test('a folder, as a table', () => {
  const { status, stdout } = ultramem(['verify', goldens, '--target', 'interpreter']);
  assert.is(status, 0, stdout);
  assert.match(stdout, /^v1_odd \(ultramem_v1_layer\): passed, 22 tensors, worst error \d\.\de-\d+$/m);
  assert.match(stdout, /^lm_v1_overlap \(lm\): passed, 32 tensors/m);
  assert.match(stdout, /^interpreter: 17 passed, 0 failed, 0 skipped$/m);
});

/** Copies a case into `folder` with one element of a tensor changed. */
async function altered(folder: string, tensor: string, change: (bytes: Buffer) => void): Promise<string> {
  const path = join(folder, 'v1_small.safetensors');
  const bytes = readFileSync(join(goldens, 'v1_small.safetensors'));
  const { begin, end } = (await openSafetensors(join(goldens, 'v1_small.safetensors'))).tensors.get(tensor)!;
  change(bytes.subarray(begin, end));
  writeFileSync(path, bytes);
  copyFileSync(join(goldens, 'v1_small.json'), join(folder, 'v1_small.json'));
  return path;
}

const changes: readonly (readonly [tensor: string, change: (bytes: Buffer) => void])[] = [
  ['out.y', (bytes) => bytes.writeFloatLE(bytes.readFloatLE(400) + 0.001, 400)],
  ['mid.pooled', (bytes) => bytes.writeFloatLE(bytes.readFloatLE(64) * 1.01 + 0.01, 64)],
  ['mid.shuffled_index', (bytes) => bytes.writeBigInt64LE(bytes.readBigInt64LE(8) ^ 1n, 8)],
  ['mid.lookup_scores', (bytes) => bytes.writeFloatLE(bytes.readFloatLE(12) + 0.001, 12)],
];
for (const [tensor, change] of changes) {
  test(`one altered value of ${tensor} is found`, () =>
    inTemporaryFolder(async (folder) => {
      const path = await altered(folder, tensor, change);
      const { status, stdout } = ultramem(['verify', path, '--target', 'interpreter']);
      assert.is(status, 1);
      assert.match(stdout, new RegExp(`OFF\\s+${tensor.replaceAll('.', '\\.')}\\s`));
      assert.match(stdout, /0 passed, 1 failed, 0 skipped/);
      const { cases } = JSON.parse(ultramem(['verify', path, '--target', 'interpreter', '--json']).stdout) as Verdict;
      assert.equal(
        cases[0]!.comparisons.filter(({ ok }) => !ok).map(({ name }) => name),
        [tensor],
      );
    }));
}

test('one altered output is found on cpu', () =>
  inTemporaryFolder(async (folder) => {
    const path = await altered(folder, ...changes[0]!);
    assert.is(ultramem(['verify', path]).status, 1);
  }));

test('what no preset builds is skipped with its reason; nothing else is an error', () =>
  inTemporaryFolder((folder) => {
    copyFileSync(join(goldens, 'v1_small.safetensors'), join(folder, 'other.safetensors'));
    writeFileSync(join(folder, 'other.json'), JSON.stringify({ kind: 'product_key_layer', config: {} }));
    const { status, stdout, stderr } = ultramem(['verify', folder]);
    assert.is(status, 1);
    assert.match(stdout, /other \(product_key_layer\): skipped, no preset for cases of kind product_key_layer/);
    assert.match(stderr, /^error cli-nothing-to-verify/);
  }));

test('an empty folder, a missing case and a damaged one are errors', () =>
  inTemporaryFolder((folder) => {
    assert.match(ultramem(['verify', folder]).stderr, /^error cli-nothing-to-verify/);
    assert.match(ultramem(['verify', join(folder, 'none.safetensors')]).stderr, /^error cli-unreadable-file/);
    writeFileSync(join(folder, 'a.safetensors'), 'short');
    writeFileSync(join(folder, 'a.json'), '{"kind": "lm"}');
    assert.match(ultramem(['verify', folder]).stderr, /^error cli-nothing-to-verify.*"kind" and "config"/);
    writeFileSync(join(folder, 'a.json'), '{"kind": "lm", "config": {}}');
    const { status, stderr } = ultramem(['verify', folder]);
    assert.is(status, 1);
    assert.match(stderr, /^error safetensors-/);
  }));

test.run();
