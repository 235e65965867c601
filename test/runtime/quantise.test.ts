// Floats as bytes with a scale: how far they come back from where they were, and which checkpoints of such are refused.

import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { ModelDescription } from '../../src/runtime/index.ts';
import { axisNote, dequantise, quantise, sharingOf } from '../../src/runtime/quantise.ts';
import type { SafetensorsFiles } from '../../src/runtime/safetensors.ts';
import { matchWeights, readWeights } from '../../src/runtime/weights.ts';
import type { DType } from '../../src/support/dtype.ts';
import { fromF8, toF8 } from '../../src/support/float-bits.ts';
import { type Tensor, tensor } from '../../src/support/tensor.ts';
import { rejects } from '../robustness/rejection.ts';
import { seed } from '../settings.ts';

const test = suite('quantise');

test('every f8 is itself again, and what lies between goes to the nearest, ties to even', () => {
  for (let pattern = 0; pattern < 256; pattern++) {
    const value = fromF8(pattern);
    assert.is(Number.isNaN(value), (pattern & 127) === 127);
    const digits = Number.isNaN(value) ? 127 : 255; // the sign of NaN is nobody’s
    assert.is(toF8(value) & digits, pattern & digits);
    const [below, above] = [fromF8(pattern), fromF8(pattern + 1)];
    if ((pattern & 127) >= 126) continue;
    const middle = (below + above) / 2;
    assert.is(toF8(middle), pattern % 2 === 0 ? pattern : pattern + 1, `${middle}`);
    assert.is(toF8(middle - (above - below) / 64), pattern);
    assert.is(toF8(middle + (above - below) / 64), pattern + 1);
  }
  assert.equal([1e9, -1e9, Number.POSITIVE_INFINITY].map(toF8), [0x7e, 0xfe, 0x7e]);
});

/** Blocks of shared × inner values of very different sizes. */
const blocks = fc.record({
  outer: fc.integer({ min: 1, max: 3 }),
  shared: fc.integer({ min: 1, max: 9 }),
  inner: fc.integer({ min: 1, max: 3 }),
  size: fc.integer({ min: -110, max: 100 }),
  seeds: fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: 81, maxLength: 81 }),
});

for (const dtype of ['i8', 'f8'] as const) {
  test(`${dtype}: errors are no larger than promised, and the largest of a row is met`, () => {
    fc.assert(
      fc.property(blocks, ({ outer, shared, inner, size, seeds }) => {
        const values = Float32Array.from(seeds.slice(0, outer * shared * inner), (x) => x * 2 ** size);
        const sharing = { shared, inner };
        const rows = quantise(values, sharing, dtype);
        if (typeof rows === 'number') throw new Error(`row ${rows} is called not finite`);
        const back = dequantise(dtype, rows.data, rows.scale, sharing);
        for (const [e, value] of values.entries()) {
          const scale = rows.scale[Math.floor(e / (shared * inner)) * inner + (e % inner)]!;
          if (scale < 2 ** -126) continue; // scales without all their digits promise nothing
          const bound = dtype === 'i8' ? scale / 2 : Math.max(Math.abs(value) / 16, scale * 2 ** -10);
          const error = Math.abs(back[e]! - value);
          assert.ok(error <= bound * (1 + 1e-5), `${value} → ${back[e]}, off by ${error}, bound ${bound}`);
        }
      }),
      { seed, numRuns: 300 },
    );
  });
}

test('a row of zeros has scale 0, and one that is not finite is named', () => {
  const rows = quantise(new Float32Array([0, -0, 0, 1, 2, -127]), { shared: 3, inner: 1 }, 'i8');
  assert.equal(rows, { data: new Int8Array([0, 0, 0, 1, 2, -127]), scale: new Float32Array([0, 1]) });
  for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
    assert.is(quantise(new Float32Array([1, 2, 3, bad]), { shared: 2, inner: 1 }, 'f8'), 1);
  }
});

const model = (dtype: DType, shape: readonly number[], more: ModelDescription['weights'] = []): ModelDescription => ({
  ...{ name: 'm', symbols: [], inputs: [], outputs: [], states: [] },
  weights: [{ name: 'w', dtype, shape, below: undefined, optional: false, placement: 'memory' }, ...more],
});
const read = async (described: ModelDescription, given: Record<string, Tensor>): Promise<Map<string, Tensor>> =>
  readWeights(await matchWeights(described, given));

const bytes = tensor('i8', [2, 3], new Int8Array([1, 2, 3, -4, 5, 127]));
const scale = tensor('f32', [2], new Float32Array([0.5, 2]));

test('a model of floats reads bytes with their scales, over the axis that the scales lack', async () => {
  const values = (await read(model('f32', [2, 3]), { w: bytes, 'w.scale': scale })).get('w')!;
  assert.equal([...values.data], [0.5, 1, 1.5, -8, 10, 254]);
  const columns = tensor('f32', [3], new Float32Array([1, 10, 100]));
  assert.equal(
    [...(await read(model('f32', [2, 3]), { w: bytes, 'w.scale': columns })).get('w')!.data],
    [1, 20, 300, -4, 50, 12700],
  );
  const f8 = tensor('f8', [2, 2], Uint8Array.from([1, -1.5, 448, 0], toF8));
  assert.equal(
    [...(await read(model('f32', [2, 2]), { w: f8, 'w.scale': scale })).get('w')!.data],
    [0.5, -0.75, 896, 0],
  );
  const bf16 = (await read(model('bf16', [2, 3]), { w: bytes, 'w.scale': scale })).get('w')!;
  assert.is(bf16.dtype, 'bf16');
});

test('where several axes fit, the metadata of a file says which; the last, where it does not', async () => {
  const square = { shape: [2, 2], dtype: 'I8', path: '/none', begin: 0, end: 4 } as const;
  const files = (metadata: Record<string, string>): SafetensorsFiles => ({
    source: 'square',
    metadata,
    tensors: new Map([
      ['w', { ...square, name: 'w' }],
      ['w.scale', { ...square, name: 'w.scale', dtype: 'F32', shape: [2], end: 8 }],
    ]),
  });
  const shared = async (metadata: Record<string, string>) =>
    (await matchWeights(model('f32', [2, 2]), files(metadata))).weights[0]!.scale!.inner;
  assert.is(await shared({}), sharingOf([2, 2], 1).inner);
  assert.is(await shared(Object.fromEntries([axisNote('w', 0)])), sharingOf([2, 2], 0).inner);
  assert.is(await shared(Object.fromEntries([axisNote('w', 1)])), sharingOf([2, 2], 1).inner);
  for (const note of ['over axis 2', 'over axis -1', 'over all', '']) {
    await rejects(shared({ [axisNote('w', 0)[0]]: note }), 'weights-mismatch');
  }
});

const scales = {
  name: 'w.scale',
  dtype: 'f32',
  shape: [2],
  below: undefined,
  optional: false,
  placement: 'memory',
} as const;
const tables = model('i8', [2, 3], [scales]);

test('a model of bytes takes them as they are, or makes them of floats', async () => {
  const kept = await read(tables, { w: bytes, 'w.scale': scale });
  assert.equal([kept.get('w'), kept.get('w.scale')], [bytes, scale]);
  const made = await read(tables, { w: tensor('f32', [2, 3], new Float32Array([1, 2, 127, 0, 0, 0])) });
  assert.equal([...made.get('w')!.data], [1, 2, 127, 0, 0, 0]);
  assert.equal([...made.get('w.scale')!.data], [1, 0]);
});

const refused: readonly [
  what: string,
  code: string,
  described: ModelDescription,
  given: Record<string, Tensor>,
  says: RegExp,
][] = [
  [
    'bytes without scales',
    'weights-mismatch',
    model('f32', [2, 3]),
    { w: bytes },
    /missing[\s\S]*w\.scale : f32\[3\] or f32\[2\]/,
  ],
  ['bytes without scales, kept', 'weights-mismatch', tables, { w: bytes }, /missing[\s\S]*w\.scale : f32\[2\]/],
  [
    'scales of another shape',
    'weights-mismatch',
    model('f32', [2, 3]),
    { w: bytes, 'w.scale': tensor('f32', [4], new Float32Array(4)) },
    /w\.scale : got F32\[4\]/,
  ],
  [
    'scales of another shape, kept',
    'weights-mismatch',
    tables,
    { w: bytes, 'w.scale': tensor('f32', [3], new Float32Array(3)) },
    /w\.scale : got \[3\], want \[2\]/,
  ],
  [
    'scales of another type',
    'weights-mismatch',
    model('f32', [2, 3]),
    { w: bytes, 'w.scale': tensor('i32', [2], new Int32Array(2)) },
    /w\.scale : got I32\[2\]/,
  ],
  [
    'a scale that is NaN',
    'weights-scale-invalid',
    model('f32', [2, 3]),
    { w: bytes, 'w.scale': tensor('f32', [2], new Float32Array([1, Number.NaN])) },
    /"w".* at 1/,
  ],
  [
    'a negative scale, kept',
    'weights-scale-invalid',
    tables,
    { w: bytes, 'w.scale': tensor('f32', [2], new Float32Array([-1, 1])) },
    /"w".* at 0/,
  ],
  [
    'floats that are not finite',
    'weights-not-finite',
    tables,
    { w: tensor('f32', [2, 3], new Float32Array([1, 2, 3, 4, Number.NaN, 6])) },
    /"w".* row 1/,
  ],
  [
    'bytes for indices',
    'weights-mismatch',
    model('i64', [2, 3]),
    { w: bytes, 'w.scale': scale },
    /w : got i8, want i64/,
  ],
  [
    'f8 for i8',
    'weights-mismatch',
    tables,
    { w: tensor('f8', [2, 3], new Uint8Array(6)), 'w.scale': scale },
    /w : got f8, want i8/,
  ],
  [
    'scales beside floats',
    'weights-mismatch',
    tables,
    { w: tensor('f32', [2, 3], new Float32Array(6)), 'w.scale': scale },
    /not in the model[\s\S]*w\.scale/,
  ],
];
for (const [what, code, described, given, says] of refused) {
  test(`${what}: ${code}`, async () => {
    const error = await rejects(read(described, given), code);
    assert.match(error.message, says);
  });
}

test.run();
