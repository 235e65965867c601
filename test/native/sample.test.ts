// native/cuda/sample.cuh, run thread by thread with every access checked: on random rows, with ties and without numbers, the
// tokens of src/runtime/sampling.ts; and built by nvcc where there is one.

import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { buildFatbins, chooseArchitectures, findNvcc } from '../../src/build/nvcc.ts';
import { choiceWords } from '../../src/runtime/choice-words.ts';
import { uniform } from '../../src/runtime/philox.ts';
import { type Choice, checkSampling, chooseTokens, type SamplingOptions } from '../../src/runtime/sampling.ts';
import { steepnessOf, weigh } from '../../src/runtime/token-weights.ts';
import { readSwitch } from '../../src/support/env.ts';
import { UltramemError } from '../../src/support/errors.ts';
import { tensor } from '../../src/support/tensor.ts';
import { freshFolder } from '../build-folder.ts';
import { Random } from '../random.ts';
import { seed } from '../settings.ts';

const run = promisify(execFile);
const here = fileURLToPath(new URL('.', import.meta.url));
const native = fileURLToPath(new URL('../../native', import.meta.url));
const folder = freshFolder('sample');
const program = join(folder, 'program');
const test = suite('sampling on a device');

/** Compiles the program, once. */
async function build(): Promise<void> {
  const common = ['-std=c++20', '-Wall', '-Wextra', '-Werror', '-pthread', `-I${native}`];
  const asKernels = ['-x', 'c++', '-O1', '-g', '-fsanitize=thread', '-fno-extern-tls-init', '-include', 'simt/cuda.h'];
  const unrolls = '-Wno-unknown-pragmas'; // only nvcc knows them
  const compile = (...args: string[]) => run(readSwitch('CXX') ?? 'g++', [...common, ...args]);
  const [kernels, emulator] = ['kernels.o', 'simt.o'].map((name) => join(folder, name)) as [string, string];
  await Promise.all([
    compile(...asKernels, unrolls, '-c', join(here, 'sample.cu'), '-o', kernels),
    compile('-O2', '-c', join(native, 'simt/simt.cc'), '-o', emulator),
  ]);
  await compile('-O1', join(here, 'sample-program.cc'), kernels, emulator, '-o', program);
}
let built: Promise<void> | undefined;

/** Rows of `length` logits, `stride` apart, and what to choose from them. */
interface Batch {
  readonly length: number;
  readonly stride: number;
  readonly rows: readonly Float32Array[];
  readonly choices: readonly Choice[];
}

/** What the kernels choose; fails on a finding. */
async function onDevice(batches: readonly Batch[]): Promise<number[][]> {
  const pieces: Uint8Array[] = [];
  const put = ({ buffer, byteOffset, byteLength }: NodeJS.TypedArray) =>
    pieces.push(new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength));
  const integers = (...values: number[]) => put(BigInt64Array.from(values, BigInt));
  for (const { length, stride, rows, choices } of batches) {
    integers(length, stride, rows.length, choices.length);
    // What lies between rows would be taken by whoever read it.
    const logits = new Float32Array(stride * (rows.length - 1) + length).fill(1e9);
    for (const [i, row] of rows.entries()) logits.set(row, i * stride);
    put(logits);
    put(choiceWords(choices));
  }
  integers(0);
  const [data, chosen] = [join(folder, 'data'), join(folder, 'chosen')];
  writeFileSync(data, Buffer.concat(pieces));
  await (built ??= build());
  await run(program, [data, chosen], { timeout: 900_000 });
  const bytes = readFileSync(chosen);
  let at = 0;
  return batches.map(({ choices }) => choices.map(() => bytes.readInt32LE(4 * at++)));
}

const inScript = ({ length, rows, choices }: Batch): number[] => {
  const data = new Float32Array(rows.length * length);
  for (const [i, row] of rows.entries()) data.set(row, i * length);
  return [...chooseTokens(tensor('f32', [rows.length, length], data), choices)];
};

const strides: Readonly<Record<number, number>> = { 1: 1, 5: 8, 257: 257, 1000: 1003, 50257: 50257 };
const infinite = Number.POSITIVE_INFINITY;

/** Kinds of logits: smooth, with many ties, peaked, of all magnitudes, with what is no number. */
const kinds: readonly ((random: Random) => number)[] = [
  (random) => 3 * random.normal(),
  (random) => Math.round(2 * random.normal()) / 2,
  (random) => (random.below(50) === 0 ? 20 : 0) + random.normal(),
  (random) => random.normal() * 10 ** (random.below(76) - 38),
  (random) => [Number.NaN, -infinite, 0, -0, 1, random.normal()][random.below(6)]!,
  (random) => [Number.NaN, infinite, -infinite, random.normal()][random.below(4)]!,
  () => Number.NaN,
  () => -infinite,
  () => 0.25,
];

function someOptions(random: Random, length: number): SamplingOptions {
  const half = () => random.below(2) === 0;
  return {
    temperature: [0, 1e-6, 0.3, 0.7, 1, 2.5, 1e30][random.below(7)]!,
    ...(half() && { topK: 1 + random.below(half() ? 8 : length + 3) }),
    ...(half() && { topP: [0.01, 0.5, 0.9, 0.999, 1][random.below(5)]! }),
    seed: half() ? random.below(100) : 2 ** 52 + random.below(2 ** 30),
  };
}

function someBatch(random: Random, length: number, rowCount: number, choiceCount: number): Batch {
  const rows = Array.from({ length: rowCount }, () => {
    const kind = kinds[random.below(kinds.length)]!;
    return Float32Array.from({ length }, () => kind(random));
  });
  const choices = Array.from({ length: choiceCount }, () => ({
    row: random.below(rowCount),
    index: random.below(2) === 0 ? random.below(1000) : 2 ** 33 + random.below(1000),
    sampling: checkSampling(someOptions(random, length)),
  }));
  return { length, stride: strides[length]!, rows, choices };
}

for (const [length, batches, choices] of [
  [1, 1, 4],
  [5, 20, 12],
  [257, 20, 12],
  [1000, 8, 10],
] as const) {
  test(`rows of ${length}: the tokens of the sampler in JavaScript`, async () => {
    const random = new Random(seed, `sample ${length}`);
    const all = Array.from({ length: batches }, () => someBatch(random, length, Math.ceil(choices / 2), choices));
    const got = await onDevice(all);
    for (const [b, batch] of all.entries()) {
      for (const [i, token] of inScript(batch).entries()) {
        const { row, sampling, index } = batch.choices[i]!;
        assert.is(got[b]![i], token, `seed ${seed}, batch ${b}, row ${row}, ${JSON.stringify({ ...sampling, index })}`);
      }
    }
  });
}

test('weights are the same to the last bit', async () => {
  const random = new Random(seed, 'weights on a device');
  const nothing = [-infinite, -infinite, -infinite];
  const rows = Array.from({ length: 100 }, () => Float32Array.of(0, -random.uniform(), ...nothing));
  const late = Array.from({ length: 100 }, (_, index) => index).find((index) => uniform(seed, index) > 0.7)!;
  const choices = rows.flatMap((logits, row): Choice[] => {
    const temperature = Math.LOG2E; // logits are powers of two
    const [first, second] = weigh(logits, 0, steepnessOf(temperature)) as unknown as [number, number];
    // A hair below the share of the first token it stays alone; a hair above, the second comes in and is drawn.
    return [-1, 1].map((side) => {
      const topP = (first * (1 + side * 1e-12)) / (first + second);
      return { row, index: late, sampling: checkSampling({ temperature, topP, seed }) };
    });
  });
  const [got] = await onDevice([{ length: 5, stride: 8, rows, choices }]);
  assert.equal(
    got,
    choices.map((_, i) => i % 2),
  );
});

test('a vocabulary of 50257', async () => {
  const random = new Random(seed, 'large vocabulary');
  const rows = [kinds[0]!, kinds[1]!].map((kind) => Float32Array.from({ length: 50257 }, () => kind(random)));
  const options: SamplingOptions[] = [{ temperature: 1 }, { temperature: 0.8, topK: 2000, topP: 0.95 }];
  const choices = options.flatMap((each, i) =>
    rows.map((_, row) => ({ row, index: i, sampling: checkSampling({ ...each, seed: 11 }) })),
  );
  const batch = { length: 50257, stride: 50257, rows, choices };
  const [got] = await onDevice([batch]);
  assert.equal(got, inScript(batch));
  assert.ok(new Set(got).size > 1);
});

let architectures: string[] = [];
try {
  const nvcc = await findNvcc();
  architectures = await chooseArchitectures(nvcc, ['75', '90']);
  test(`nvcc builds it for ${architectures.join(', ')}, without spills`, async () => {
    const copy = freshFolder('sample-nvcc');
    writeFileSync(join(copy, 'sample.cu'), readFileSync(join(here, 'sample.cu')));
    const { resources } = await buildFatbins({ nvcc, folder: copy, sources: ['sample.cu'], architectures });
    assert.is(resources.length, 5 * architectures.length);
    for (const { kernel, arch, stack, shared } of resources) {
      assert.is(stack, 0, `${kernel} on ${arch}`);
      assert.ok(shared <= 48 * 1024, `${kernel} on ${arch}: ${shared} bytes of shared memory`);
    }
  });
} catch (error) {
  if (!(error instanceof UltramemError)) throw error;
  console.log(`[SKIP] building sample.cu: ${error.message}`);
}

test.run();
