// Weight files that are damaged, foreign or hostile, given to a compiled model: each refused by its code, or run without a crash.

import { execFile } from 'node:child_process';
import { readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { compile } from '../../src/compile.ts';
import { openSafetensors, readSafetensors, type Tensor, tensor, writeSafetensors } from '../../src/runtime/index.ts';
import { freshFolder } from '../build-folder.ts';
import {
  checkpoint,
  compiledBytesLm,
  compiledLayer,
  type EmittedModel,
  layerCase,
  layerModel,
} from '../compiled-model.ts';
import { Random } from '../random.ts';
import { seed } from '../settings.ts';
import { rejects } from './rejection.ts';

const test = suite('robustness: weights');
const folder = freshFolder('weights');
const Layer = await compiledLayer();
const x = new Random(1, 'x').f32([5, 64]);

/** The layer's weights as a checkpoint has them, value rows and keys as bf16. */
const weights: Record<string, Tensor> = Object.fromEntries(
  Object.entries(await readSafetensors(layerCase))
    .filter(([name]) => name.startsWith('w.'))
    .map(([name, t]) => [name.slice(2), /values_for_look_up|query_proj/.test(name) ? bf16(t) : t]),
);

function bf16({ shape, data }: Tensor): Tensor {
  const words = new Uint32Array((data as Float32Array).slice().buffer);
  return tensor(
    'bf16',
    shape,
    Uint16Array.from(words, (word) => word >>> 16),
  );
}

let files = 0;
async function stored(changed: Record<string, Tensor>): Promise<string> {
  const path = join(folder, `${files++}.safetensors`);
  await writeSafetensors(path, changed);
  return path;
}

/** The file with its header's entries changed; data stay as they are. */
function withHeader(path: string, change: (entries: Record<string, Entry>) => void, claimed?: bigint): string {
  const bytes = readFileSync(path);
  const end = 8 + Number(bytes.readBigUInt64LE());
  const entries = JSON.parse(bytes.subarray(8, end).toString()) as Record<string, Entry>;
  change(entries);
  const text = Buffer.from(JSON.stringify(entries));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(claimed ?? BigInt(text.length));
  const changed = join(folder, `${files++}.safetensors`);
  writeFileSync(changed, Buffer.concat([length, text, bytes.subarray(end)]));
  return changed;
}
interface Entry {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}

const whole = await stored(weights);
const without = (name: string): Record<string, Tensor> =>
  Object.fromEntries(Object.entries(weights).filter(([other]) => other !== name));

test('the undamaged file runs, from a path, from memory and copied', async () => {
  const results: Buffer[] = [];
  for (const [given, copy] of [
    [whole, false],
    [whole, true],
    [weights, false],
  ] as const) {
    using layer = await Layer.load(given, { copy });
    results.push(Buffer.from((await layer.forward({ x })).y!.data.slice().buffer));
  }
  assert.ok(results[1]!.equals(results[0]!) && results[2]!.equals(results[0]!));
});

const damaged: readonly (readonly [what: string, code: string, make: () => Promise<unknown> | unknown])[] = [
  ['a path that leads nowhere', 'weights-not-found', () => join(folder, 'nothing.safetensors')],
  ['an empty folder', 'weights-not-found', () => freshFolder('empty')],
  ['an empty file', 'safetensors-truncated', () => cut(0)],
  ['half a file', 'safetensors-offsets-invalid', () => cut(40_000)],
  ['a file without its last byte', 'safetensors-offsets-invalid', () => cut(readFileSync(whole).length - 1)],
  [
    'a file with bytes behind',
    'safetensors-gap',
    () => {
      const path = join(folder, `${files++}.safetensors`);
      writeFileSync(path, Buffer.concat([readFileSync(whole), Buffer.of(0)]));
      return path;
    },
  ],
  ['offsets past the end', 'safetensors-offsets-invalid', () => withHeader(whole, ({ keys }) => shift(keys!, 1 << 20))],
  ['tensors that overlap', 'safetensors-overlap', () => withHeader(whole, ({ keys }) => shift(keys!, -64))],
  [
    'a dtype of another size',
    'safetensors-offsets-invalid',
    () => withHeader(whole, ({ keys }) => void (keys!.dtype = 'F16')),
  ],
  [
    'a shape that needs 4 EiB',
    'safetensors-shape-invalid',
    () => withHeader(whole, ({ keys }) => void (keys!.shape = [2 ** 30, 2 ** 30])),
  ],
  [
    'a dtype that does not convert',
    'weights-mismatch',
    () => withHeader(whole, ({ keys }) => void (keys!.dtype = 'U32')),
  ],
  ['a header of 100 GB', 'safetensors-header-too-large', () => withHeader(whole, () => {}, 100n * 10n ** 9n)],
  [
    'a header of 100 GB in a sparse file of that size',
    'safetensors-header-too-large',
    () => {
      const path = withHeader(whole, () => {}, 100n * 10n ** 9n);
      truncateSync(path, 101e9);
      return path;
    },
  ],
  ['no file but text', 'safetensors-header-too-large', () => join(import.meta.dirname, '../../LICENSE')],
  ['a missing weight', 'weights-mismatch', () => stored(without('keys'))],
  [
    'a weight of another shape',
    'weights-mismatch',
    () => stored({ ...weights, keys: new Random(1).f32([2, 2, 32, 2, 16]) }),
  ],
  [
    'integers for floats',
    'weights-mismatch',
    () => stored({ ...weights, keys: new Random(1).i32([2, 2, 32, 16, 2], 9) }),
  ],
  ['a weight that is not the model’s', 'weights-mismatch', () => stored({ ...weights, other: x })],
  ['a slot past the table', 'weights-value-range', () => stored(withSlot(1024n))],
  ['a negative slot', 'weights-value-range', () => stored(withSlot(-1n))],
  ['a slot that needs 64 bits', 'weights-value-range', () => stored(withSlot(1n << 40n))],
  ['a slot past the table, in memory', 'weights-value-range', () => withSlot(1n << 62n)],
];
for (const [what, code, make] of damaged) {
  test(`${what}: ${code}`, async () => {
    await rejects(Layer.load((await make()) as string), code);
  });
}

function cut(bytes: number): string {
  const path = join(folder, `${files++}.safetensors`);
  writeFileSync(path, readFileSync(whole).subarray(0, bytes));
  return path;
}

function shift(entry: Entry, by: number): void {
  entry.data_offsets = [entry.data_offsets[0] + by, entry.data_offsets[1] + by];
}

function withSlot(slot: bigint): Record<string, Tensor> {
  const { shape, data } = weights.shuffle_index!;
  const changed = (data as BigInt64Array).slice();
  changed[777] = slot;
  return { ...weights, shuffle_index: tensor('i64', shape, changed) };
}

test('a missing weight is named, with the name that was meant', async () => {
  const { keys } = weights;
  const error = await rejects(Layer.load(await stored({ ...without('keys'), kyes: keys! })), 'weights-mismatch');
  assert.match(error.message, 'did you mean "kyes"');
});

test('a file cut short after its header was read', async () => {
  const path = cut(readFileSync(whole).length);
  const opened = await openSafetensors(path);
  truncateSync(path, 50_000);
  await rejects(Layer.load(opened), 'safetensors-truncated');
});

test('weights that are NaN, infinite or huge give such results, and slots within the tables', async () => {
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 3e38, -3e38, 1e-40]) {
    for (const filled of [Object.keys(weights), ['keys'], ['values_for_look_up'], ['tucker_core_u', 'tucker_core_v']]) {
      const changed = Object.entries(weights).map(([name, t]): [string, Tensor] => {
        if (!filled.includes(name) || name === 'shuffle_index') return [name, t];
        return [name, tensor('f32', t.shape, new Float32Array(t.data.length).fill(value))];
      });
      using layer = await Layer.load(Object.fromEntries(changed), { threads: 2 });
      for (const input of [x, tensor('f32', [1, 64], new Float32Array(64).fill(value)), new Random(2).f32([40, 64])]) {
        const outputs = await layer.forward({ x: input });
        for (const slot of outputs['mid.shuffled_index']!.data) assert.ok(slot >= 0 && slot < 1024, `slot ${slot}`);
        if (Number.isNaN(value) && filled.length > 4) assert.ok(outputs.y!.data.every(Number.isNaN), 'NaN must show');
      }
    }
  }
});

test('generation on a checkpoint of NaN gives tokens of the vocabulary', async () => {
  const BytesLm = await compiledBytesLm();
  const trained = await readSafetensors(checkpoint);
  const broken = Object.entries(trained).map(([name, t]): [string, Tensor] =>
    /ff_proj|keys$/.test(name) ? [name, { ...t, data: t.data.slice().fill(0x7fc0 as never) } as Tensor] : [name, t],
  );
  using model: EmittedModel = await BytesLm.load(Object.fromEntries(broken), { threads: 2 });
  for (const options of [{ temperature: 0 }, { temperature: 1, topK: 5, topP: 0.9, seed: 7 }]) {
    const { tokens } = await model.complete('In the', { maxTokens: 20, ...options });
    assert.is(tokens.length, 20);
    for (const token of tokens) assert.ok(Number.isInteger(token) && token >= 0 && token < 257, `token ${token}`);
  }
});

test('1200 damaged files are refused or run', async () => {
  const { dir } = await compile(await layerModel(), { taps: true, outDir: freshFolder('v1-small') });
  const program = join(import.meta.dirname, 'load-mutants.ts');
  const args = ['--import', 'tsx', program, whole, dir, String(seed), '1200'];
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 600_000 });
  const seen = JSON.parse(stdout) as Record<string, number>;
  const total = Object.values(seen).reduce((a, b) => a + b, 0);
  assert.is(total, 1200);
  for (const code of [
    'ran',
    'weights-mismatch',
    'weights-value-range',
    'safetensors-offsets-invalid',
    'safetensors-truncated',
  ]) {
    assert.ok((seen[code] ?? 0) > 0, `seed ${seed}: no mutant gave ${code}: ${stdout}`);
  }
  assert.ok(seen.ran! >= 200, stdout);
  for (const code of Object.keys(seen)) assert.match(code, /^(ran|(weights|safetensors)-[a-z-]+)$/);
});

test.after(() => rmSync(folder, { recursive: true, force: true }));
test.run();
