// Builds the hand-written model beside this file, once per content, and writes weights for it.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import type { NativeAddon } from '../../src/runtime/native-addon.ts';
import { writeSafetensors } from '../../src/runtime/safetensors-write.ts';
import { readSwitch } from '../../src/support/env.ts';
import { type Tensor, tensor } from '../../src/support/tensor.ts';
import { freshFolder } from '../build-folder.ts';

const require = createRequire(import.meta.url);
const root = resolve(import.meta.dirname, '../..');

/** Path of the built addon. */
export function buildRelay(): string {
  const native = ['addon', 'cpu'].flatMap((room) =>
    readdirSync(join(root, 'native', room))
      .filter((name) => /\.(h|cc)$/.test(name))
      .map((name) => join(root, 'native', room, name)),
  );
  const model = join(import.meta.dirname, 'relay/model.cc');
  const flags = [
    '-std=c++20',
    '-O1',
    '-fPIC',
    '-shared',
    '-fvisibility=hidden',
    '-Wall',
    '-Wextra',
    '-Werror',
    '-pthread',
  ];
  const hash = createHash('sha256').update(flags.join());
  for (const file of [...native, model]) hash.update(readFileSync(file));
  const folder = join(root, '.cache/tests');
  const path = join(folder, `relay-${hash.digest('hex').slice(0, 12)}.node`);
  if (existsSync(path)) return path;
  mkdirSync(folder, { recursive: true });
  const headers = join(dirname(require.resolve('node-api-headers/package.json')), 'include');
  const napi = dirname(require.resolve('node-addon-api/package.json'));
  const made = `${path}.${process.pid}`;
  const sources = [...['addon/addon.cc', 'cpu/pool.cc'].map((name) => join(root, 'native', name)), model];
  const link = process.platform === 'darwin' ? ['-undefined', 'dynamic_lookup'] : [];
  execFileSync(readSwitch('CXX') ?? 'c++', [
    ...flags,
    `-I${headers}`,
    `-isystem${napi}`,
    ...sources,
    ...link,
    '-o',
    made,
  ]);
  renameSync(made, path);
  return path;
}

export const loadRelay = (): NativeAddon => require(buildRelay()) as NativeAddon;

/** After the sum s of all ids so far comes table[s mod 257] = 7 s + 3 mod 257, with a logit of 2 (v + 1). */
export const relayTable = Int32Array.from({ length: 257 }, (_, s) => (7 * s + 3) % 257);

/** Weights of the relay model; delay in milliseconds per token. */
export function relayWeights(delay = 0): Record<string, Tensor> {
  return {
    gain: tensor(
      'f32',
      [257],
      Float32Array.from({ length: 257 }, (_, v) => v + 1),
    ),
    table: tensor('i32', [257], relayTable),
    delay: tensor('f32', [1], Float32Array.of(delay)),
  };
}

/** The same as a file. */
export async function relayFile(tensors: Record<string, Tensor> = relayWeights()): Promise<string> {
  const path = join(freshFolder('relay'), 'relay.safetensors');
  await writeSafetensors(path, tensors);
  return path;
}

/** What the relay model says after `prompt`. */
export function relayContinuation(prompt: readonly number[], count: number): number[] {
  let sum = prompt.reduce((a, b) => a + b, 0);
  return Array.from({ length: count }, () => {
    const next = relayTable[sum % 257]!;
    sum += next;
    return next;
  });
}
