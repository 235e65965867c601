// Quantised weights in a compiled model: bytes that are mapped, made when floats load, or made floats again; what is refused; and a
// table of more than 2^31 elements.

import { rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { buildAddon } from '../../src/build/build-addon.ts';
import { emit } from '../../src/codegen/emit.ts';
import { type Graph, parse } from '../../src/ir/index.ts';
import { quantiseTables } from '../../src/passes/quantise-tables.ts';
import { makePlan } from '../../src/plan/plan.ts';
import { quantiseWeights } from '../../src/quantise.ts';
import type { NativeAddon, NativeModel, Tensor, WeightsLike } from '../../src/runtime/index.ts';
import { readSafetensors, tensor, writeSafetensors } from '../../src/runtime/index.ts';
import { loadNative } from '../../src/runtime/native-engine.ts';
import { dequantise, quantise, sharingOf } from '../../src/runtime/quantise.ts';
import { openSafetensors } from '../../src/runtime/safetensors.ts';
import { freshFolder } from '../build-folder.ts';
import { Random } from '../random.ts';
import { rejects } from '../robustness/rejection.ts';
import { seed } from '../settings.ts';

const test = suite('quantised weights in an addon');
const folder = freshFolder('quantised');
const require = createRequire(import.meta.url);

async function compiled(graph: Graph): Promise<NativeAddon> {
  const files = emit(makePlan(graph), { source: 'rows.ts', graphBefore: '', graphAfter: '' }, 'simt');
  const built = await buildAddon(graph.name, files, { outDir: freshFolder(graph.name) });
  return require(built.addon) as NativeAddon;
}

/** What a step gives; T is 1 unless the inputs say otherwise. */
async function outputsOf(
  model: NativeModel,
  inputs: Record<string, Tensor>,
  T: number,
): Promise<Record<string, Tensor>> {
  const engine = model.openEngine({});
  try {
    return await engine.step({ inputs, symbols: { T }, signal: undefined });
  } finally {
    engine.dispose();
  }
}

const N = 500;
const D = 37;
const rows = (name: string): Graph =>
  parse(`graph ${name} {
  symbol T <= 600 step
  input %i : i32[T] below ${N}
  weight @values_for_look_up "values_for_look_up" : f32[${N},${D}]
  step {
    %y = gather @values_for_look_up, %i {equation="nd,t->td"} : f32[T,${D}]
  }
  output y = %y
}
`);
const all = {
  i: tensor(
    'i32',
    [N],
    Int32Array.from({ length: N }, (_, i) => i),
  ),
};
const random = new Random(seed, 'quantised rows');
const values = random.f32([N, D], () => random.normal() * 2 ** (random.below(40) - 20));
(values.data as Float32Array).fill(0, 3 * D, 4 * D);

const addons = {
  f32: await compiled(rows('rows_f32')),
  i8: await compiled(quantiseTables(rows('rows_i8'), 'i8')),
  f8: await compiled(quantiseTables(rows('rows_f8'), 'f8')),
};
const whole = join(folder, 'floats.safetensors');
await writeSafetensors(whole, { values_for_look_up: values });

async function load(addon: NativeAddon, weights: WeightsLike, copy = false): Promise<NativeModel> {
  return loadNative(addon, weights, { threads: 3, copy });
}

for (const dtype of ['i8', 'f8'] as const) {
  test(`${dtype}: loading makes the bytes that the verb writes, and a model of floats reads the same values`, async () => {
    const file = join(folder, `${dtype}.safetensors`);
    const { tensors } = await quantiseWeights(whole, file, { tables: dtype, keys: undefined });
    assert.equal([tensors.length, tensors[0]!.rows, tensors[0]!.bytesAfter], [1, N, N * D + 4 * N]);
    const made = quantise(values.data as Float32Array, sharingOf([N, D], 1), dtype);
    if (typeof made === 'number') throw new Error('not finite');
    const written = await readSafetensors(file);
    assert.equal(written.values_for_look_up!.data, made.data);
    assert.equal(written['values_for_look_up.scale']!.data, made.scale);
    const wanted = dequantise(dtype, made.data, made.scale, sharingOf([N, D], 1));
    // An element times a scale is rounded once, so equal values mean equal bytes.
    for (const [what, addon, given] of [
      ['bytes of the file', addons[dtype], file],
      ['bytes of arrays', addons[dtype], written],
      ['floats of a file', addons[dtype], whole],
      ['floats of arrays', addons[dtype], { values_for_look_up: values }],
      ['bytes as floats', addons.f32, file],
      ['bytes of arrays as floats', addons.f32, written],
    ] as const) {
      for (const copy of [false, true]) {
        const model = await load(addon, given, copy);
        assert.equal((await outputsOf(model, all, N)).y!.data, wanted, `${what}, copy: ${copy}`);
        if (what === 'bytes of the file' && !copy) assert.is(model.bytes, 0, 'the file is mapped, and no more');
        model.dispose();
      }
    }
  });
}

const bytes = tensor('i8', [N, D], new Int8Array(N * D));
const scale = tensor('f32', [N], new Float32Array(N).fill(1));
const withScale = (at: number, value: number): Record<string, Tensor> => {
  const data = scale.data.slice() as Float32Array;
  data[at] = value;
  return { values_for_look_up: bytes, 'values_for_look_up.scale': tensor('f32', [N], data) };
};
test('scales that are no finite numbers from 0, and floats that are not finite, are refused by tensor and row', async () => {
  for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, -1]) {
    for (const addon of [addons.f32, addons.i8]) {
      const error = await rejects(load(addon, withScale(317, bad)), 'weights-scale-invalid');
      assert.match(error.message, /"values_for_look_up".* at 317/);
    }
    if (bad === -1) continue;
    const data = values.data.slice() as Float32Array;
    data[417 * D + 5] = bad;
    data[490 * D] = bad;
    const error = await rejects(
      load(addons.f8, { values_for_look_up: tensor('f32', [N, D], data) }),
      'weights-not-finite',
    );
    assert.match(error.message, /"values_for_look_up".* in row 417/);
    const file = join(folder, 'bad.safetensors');
    await writeSafetensors(file, { values_for_look_up: tensor('f32', [N, D], data) });
    const to = join(folder, 'never.safetensors');
    await rejects(quantiseWeights(file, to, { tables: 'i8', keys: undefined }), 'weights-not-finite');
    await rejects(openSafetensors(to), 'weights-not-found');
  }
});

test('missing scales, other shapes of them, and bytes of the other type are refused before anything is read', async () => {
  for (const addon of [addons.f32, addons.i8]) {
    await rejects(load(addon, { values_for_look_up: bytes }), 'weights-mismatch');
    const short = tensor('f32', [N - 1], new Float32Array(N - 1));
    await rejects(load(addon, { values_for_look_up: bytes, 'values_for_look_up.scale': short }), 'weights-mismatch');
  }
  await rejects(load(addons.f8, withScale(0, 1)), 'weights-mismatch');
});

const LARGE = 70_000_000;
const WIDTH = 32;
test('rows beyond the first 2^31 elements of a table in a sparse file: pooled, multiplied and copied', async () => {
  const graph = quantiseTables(
    parse(`graph large_table {
  symbol T <= 4 step
  input %q : f32[T,${WIDTH}]
  input %i : i32[T,4] below ${LARGE}
  input %slot : i32[T,4] below ${30 * LARGE}
  input %s : f32[T,4,1]
  weight @table "table" : f32[${LARGE},${WIDTH}]
  prepare {
    %keys = reshape @table {shape=[1,${LARGE},1,${WIDTH}]} : f32[1,${LARGE},1,${WIDTH}]
  }
  step {
    %pooled = gather_pool @table, %slot, %s {groups=30} : f32[T,30,${WIDTH}]
    %h = reshape %i {shape=["T",1,4]} : i32[T,1,4]
    %dots = gather_dot %q, %keys, %h : f32[T,1,4,1]
    %copied = gather @table, %i {equation="nd,tm->tmd"} : f32[T,4,${WIDTH}]
  }
  output pooled = %pooled
  output dots = %dots
  output copied = %copied
}
`),
    'i8',
  );
  const places = [3, 2 ** 26, 69_000_001, LARGE - 1]; // the second begins at element 2^31
  const element = (m: number, d: number): number => (m + 1) * 7 + d - 40;
  const factor = (m: number): number => 0.5 + m;
  const file = join(folder, 'large.safetensors');
  await writeSparse(file, places, element, factor);
  const model = await load(await compiled(graph), file);
  const outputs = await outputsOf(
    model,
    {
      q: tensor(
        'f32',
        [1, WIDTH],
        Float32Array.from({ length: WIDTH }, (_, d) => d % 5),
      ),
      i: tensor('i32', [1, 4], Int32Array.from(places)),
      slot: tensor(
        'i32',
        [1, 4],
        Int32Array.from(places, (row, m) => row + (m % 2) * 29 * LARGE),
      ),
      s: tensor('f32', [1, 4, 1], new Float32Array([1, -2, 3, 4])),
    },
    1,
  );
  assert.ok(model.bytes < 1e6, `${model.bytes} bytes of its own for a mapped table`);
  model.dispose();
  const lines = Array.from({ length: WIDTH }, (_, d) => d);
  const value = (m: number, d: number): number => factor(m) * element(m, d);
  const copied = places.flatMap((_, m) => lines.map((d) => value(m, d)));
  assert.equal([...outputs.copied!.data], copied);
  assert.equal(
    [...outputs.dots!.data],
    places.map((_, m) => lines.reduce((sum, d) => sum + (d % 5) * value(m, d), 0)),
  );
  const group = (g: number): number[] => [
    ...(outputs.pooled!.data as Float32Array).subarray(g * WIDTH, (g + 1) * WIDTH),
  ];
  assert.equal(
    [group(0), group(29)],
    [lines.map((d) => value(0, d) + 3 * value(2, d)), lines.map((d) => -2 * value(1, d) + 4 * value(3, d))],
  );
  assert.ok(group(7).every((x) => x === 0));
});

/** A quantised table of which only some rows take room on the disk. */
async function writeSparse(
  path: string,
  places: readonly number[],
  element: (m: number, d: number) => number,
  factor: (m: number) => number,
): Promise<void> {
  const scales = 4 * LARGE;
  const header = {
    'table.scale': { dtype: 'F32', shape: [LARGE], data_offsets: [0, scales] },
    table: { dtype: 'I8', shape: [LARGE, WIDTH], data_offsets: [scales, scales + LARGE * WIDTH] },
  };
  const text = Buffer.from(JSON.stringify(header).padEnd(248));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  const handle = await open(path, 'w');
  try {
    await handle.write(Buffer.concat([length, text]));
    await handle.truncate(256 + scales + LARGE * WIDTH);
    for (const [m, row] of places.entries()) {
      await handle.write(new Float32Array([factor(m)]), 0, 4, 256 + 4 * row);
      const line = Int8Array.from({ length: WIDTH }, (_, d) => element(m, d));
      await handle.write(line, 0, WIDTH, 256 + scales + row * WIDTH);
    }
  } finally {
    await handle.close();
  }
}

test.after(() => rmSync(folder, { recursive: true, force: true }));
test.run();
