// Weight files: round trips, conversions, shards, and more than a thousand damaged files that must all be refused by a
// typed error or read as a valid file, without memory for what they claim.

import { mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { convert, f16ToNumber } from '../../src/runtime/convert.ts';
import { openSafetensors, readSafetensors, readTensor } from '../../src/runtime/safetensors.ts';
import { duplicateKey, parseHeader } from '../../src/runtime/safetensors-header.ts';
import { writeSafetensors } from '../../src/runtime/safetensors-write.ts';
import { UltramemError } from '../../src/support/errors.ts';
import { type Tensor, tensor } from '../../src/support/tensor.ts';
import { freshFolder } from '../build-folder.ts';
import { Random } from '../random.ts';
import { seed } from '../settings.ts';

const test = suite('safetensors');
const folder = freshFolder('safetensors');
let files = 0;
const file = (bytes: Uint8Array): string => {
  const path = join(folder, `${files++}.safetensors`);
  writeFileSync(path, bytes);
  return path;
};

/** A file with this header object (or text) and so many bytes of data. */
function withHeader(header: unknown, dataBytes: number, claimed?: bigint): Uint8Array {
  const text = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const bytes = Buffer.alloc(8 + text.length + dataBytes);
  bytes.writeBigUInt64LE(claimed ?? BigInt(text.length));
  text.copy(bytes, 8);
  return bytes;
}

const codeOf = async (path: string): Promise<string> =>
  openSafetensors(path).then(
    () => 'valid',
    (error) => {
      assert.instance(error, UltramemError);
      return error.code;
    },
  );

const entry = (begin: number, end: number, shape: unknown = [(end - begin) / 4], dtype: unknown = 'F32') => ({
  dtype,
  shape,
  data_offsets: [begin, end],
});

const sample: Record<string, Tensor> = {
  f32: tensor('f32', [2, 3], Float32Array.of(1, -2, 3.5, Number.NaN, Number.POSITIVE_INFINITY, -0)),
  f16: tensor('f16', [2], Uint16Array.of(0x3c00, 0x7c01)),
  bf16: tensor('bf16', [1, 1, 1], Uint16Array.of(0x3f80)),
  i32: tensor('i32', [], Int32Array.of(-7)),
  i64: tensor('i64', [2], BigInt64Array.of(-1n, 1n << 60n)),
  empty: tensor('f32', [0, 5], new Float32Array()),
};

test('what was written reads back bit for bit, and the same tensors give the same bytes', async () => {
  const path = join(folder, 'sample.safetensors');
  await writeSafetensors(path, sample, { format: 'pt' });
  const read = await readSafetensors(path);
  assert.equal(Object.keys(read).sort(), Object.keys(sample).sort());
  for (const [name, { dtype, shape, data }] of Object.entries(sample)) {
    assert.is(read[name]!.dtype, dtype);
    assert.equal(read[name]!.shape, shape);
    assert.equal(Buffer.from(read[name]!.data.buffer), Buffer.from(data.buffer));
  }
  assert.equal((await openSafetensors(path)).metadata, { format: 'pt' });
  const before = readFileSync(path);
  await writeSafetensors(path, Object.fromEntries(Object.entries(sample).reverse()), { format: 'pt' });
  assert.equal(readFileSync(path), before);
  for (const { begin } of (await openSafetensors(path)).tensors.values()) assert.is(begin % 2, 0);
  assert.equal(
    readdirSync(folder).filter((name) => name.endsWith('.tmp')),
    [],
  );
});

test('a failed write leaves nothing behind', async () => {
  const path = join(folder, 'nowhere', 'x.safetensors');
  await writeSafetensors(path, sample).then(
    () => assert.unreachable(),
    (error) => assert.is(error.code, 'weights-unwritable'),
  );
});

test('headers that lie, each with its own code', async () => {
  const cases: [string, Uint8Array][] = [
    ['safetensors-truncated', Buffer.alloc(0)],
    ['safetensors-truncated', Buffer.alloc(7)],
    ['safetensors-truncated', withHeader({}, 0, 3n)],
    ['safetensors-header-too-large', withHeader({}, 0, 100n * 1024n ** 3n)],
    ['safetensors-header-too-large', withHeader({}, 0, (1n << 64n) - 1n)],
    ['safetensors-header-invalid', withHeader('', 0)],
    ['safetensors-header-invalid', withHeader('[]', 0)],
    ['safetensors-header-invalid', withHeader('null', 0)],
    ['safetensors-header-invalid', withHeader('{"a":1', 0)],
    ['safetensors-header-invalid', withHeader('{"a":1}', 0)],
    ['safetensors-header-invalid', withHeader('[['.repeat(100_000), 0)],
    ['safetensors-header-invalid', withHeader('{"__metadata__":{"a":1}}', 0)],
    ['safetensors-header-invalid', Buffer.concat([withHeader('', 0, 2n), Buffer.of(0xff, 0xfe)])],
    ['safetensors-duplicate-name', withHeader('{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"\\u0061":1}', 0)],
    ['safetensors-duplicate-name', withHeader('{"a":{"dtype":"F32","shape":[0],"shape":[1],"data_offsets":[0,0]}}', 0)],
    ['safetensors-dtype-unknown', withHeader({ a: entry(0, 4, [1], 'F31') }, 4)],
    ['safetensors-dtype-unknown', withHeader({ a: entry(0, 4, [1], 'toString') }, 4)],
    ['safetensors-dtype-unknown', withHeader({ a: entry(0, 4, [1], 4) }, 4)],
    ['safetensors-shape-invalid', withHeader({ a: entry(0, 4, [-1]) }, 4)],
    ['safetensors-shape-invalid', withHeader({ a: entry(0, 4, [0.5]) }, 4)],
    ['safetensors-shape-invalid', withHeader({ a: entry(0, 4, '1') }, 4)],
    ['safetensors-shape-invalid', withHeader({ a: entry(0, 4, [2 ** 53]) }, 4)],
    ['safetensors-shape-invalid', withHeader({ a: entry(0, 4, [2 ** 27, 2 ** 27, 0]) }, 4)],
    ['safetensors-shape-invalid', withHeader({ a: entry(0, 4, new Array(100).fill(2 ** 30)) }, 4)],
    ['safetensors-offsets-invalid', withHeader({ a: { dtype: 'F32', shape: [1] } }, 4)],
    ['safetensors-offsets-invalid', withHeader({ a: { ...entry(0, 4), data_offsets: [0, 4, 8] } }, 4)],
    ['safetensors-offsets-invalid', withHeader({ a: { ...entry(0, 4), data_offsets: ['0', 4] } }, 4)],
    ['safetensors-offsets-invalid', withHeader({ a: { ...entry(0, 4), data_offsets: [4, 0] } }, 4)],
    ['safetensors-offsets-invalid', withHeader({ a: entry(0, 8) }, 4)],
    ['safetensors-offsets-invalid', withHeader({ a: entry(0, 4, [2]) }, 4)],
    ['safetensors-offsets-invalid', withHeader({ a: { ...entry(0, 4), data_offsets: [-4, 0] } }, 4)],
    ['safetensors-overlap', withHeader({ a: entry(0, 8), b: entry(4, 12) }, 12)],
    ['safetensors-overlap', withHeader({ a: entry(0, 8), b: entry(0, 8) }, 8)],
    ['safetensors-gap', withHeader({ a: entry(4, 8) }, 8)],
    ['safetensors-gap', withHeader({ a: entry(0, 4), b: entry(8, 12) }, 12)],
    ['safetensors-gap', withHeader({ a: entry(0, 4) }, 5)],
    ['safetensors-gap', withHeader({}, 1)],
    ['valid', withHeader({}, 0)],
    ['valid', withHeader('{"__proto__":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}   ', 4)],
    ['valid', withHeader({ a: entry(0, 4, [1], 'U32') }, 4)],
  ];
  for (const [code, bytes] of cases) {
    assert.is(await codeOf(file(bytes)), code, Buffer.from(bytes.subarray(0, 100)).toString('latin1'));
  }
});

test('a header of 100 GB in a sparse file takes no memory', async () => {
  const path = file(withHeader({}, 0, 100n * 10n ** 9n));
  truncateSync(path, 101e9);
  const before = process.memoryUsage().arrayBuffers;
  assert.is(await codeOf(path), 'safetensors-header-too-large');
  assert.ok(process.memoryUsage().arrayBuffers - before < 1e6);
});

test('mutations: flipped bits, cut ends, other lengths, exchanged pieces', async () => {
  const random = new Random(seed, 'mutations');
  const path = join(folder, 'original.safetensors');
  await writeSafetensors(path, sample, { note: 'mutate me' });
  const original = readFileSync(path);
  const headerEnd = 8 + Number(original.readBigUInt64LE());
  const below = (n: number) => random.below(n);
  const mutations: ((bytes: Buffer) => Buffer)[] = [
    (b) => {
      const at = below(headerEnd);
      b[at] = b[at]! ^ (1 << below(8));
      return b;
    },
    (b) => b.subarray(0, below(b.length)),
    (b) => Buffer.concat([b, Buffer.alloc(1 + below(64))]),
    (b) => {
      b.writeBigUInt64LE(BigInt(below(2 ** 40)) >> BigInt(below(40)));
      return b;
    },
    (b) => {
      // A digit of a shape or an offset becomes another, or some more.
      const text = b.subarray(8, headerEnd).toString();
      const changed = text.replace(/\d+/g, (n) => (random.uniform() < 0.1 ? `${below(10) ** below(20)}` : n));
      return Buffer.from(withHeader(changed, b.length - headerEnd));
    },
    (b) => {
      b.copy(b, below(headerEnd), below(headerEnd), headerEnd);
      return b;
    },
    (b) => {
      for (let i = below(16); i >= 0; i--) b[8 + below(headerEnd - 8)] = below(256);
      return b;
    },
    (b) => {
      const text = b.subarray(8, headerEnd).toString();
      const types = ['F32', 'F64', 'I64', 'BF16', 'U8', 'F33', ''];
      const changed = text.replace(/"(F|BF|I)\d+"/g, (t) =>
        random.uniform() < 0.3 ? `"${types[below(types.length)]}"` : t,
      );
      return Buffer.from(withHeader(changed, b.length - headerEnd));
    },
  ];
  const seen = new Map<string, number>();
  const mutant = join(folder, 'mutant.safetensors');
  for (let round = 0; round < 1600; round++) {
    const bytes = mutations[round % mutations.length]!(Buffer.from(original));
    writeFileSync(mutant, bytes);
    const code = await codeOf(mutant);
    seen.set(code, (seen.get(code) ?? 0) + 1);
    if (code !== 'valid') continue;
    const opened = await openSafetensors(mutant);
    for (const { begin, end, name } of opened.tensors.values()) {
      assert.ok(begin >= 8 && begin <= end && end <= bytes.length, `seed ${seed}, round ${round}: ${name}`);
      await readTensor(opened, name).catch((error) => assert.is(error.code, 'weights-dtype-unsupported'));
    }
  }
  // The mutations reach every check.
  for (const code of ['truncated', 'header-invalid', 'dtype-unknown', 'offsets-invalid', 'gap', 'header-too-large']) {
    assert.ok(seen.has(`safetensors-${code}`), `seed ${seed}: no mutation gave ${code}`);
  }
});

test('duplicate keys are found at any depth, and only duplicates', () => {
  assert.is(duplicateKey('{"a":{"b":1,"c":[{"b":1}]},"b":"a","c":{"a":"\\"a\\":"}}'), undefined);
  assert.is(duplicateKey('{"x":{"y":1, "y" :2}}'), 'y');
  assert.is(duplicateKey('{"x\\\\":1,"x":2}'), undefined);
});

test('very long names need no recursion', () => {
  const name = '\\n'.repeat(2_000_000);
  const json = Buffer.from(`{"${name}":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}`);
  assert.is(parseHeader('x', json, 8 + json.length).tensors.length, 1);
});

test('every half float and the conversions', () => {
  assert.equal([0x3c00, 0xc000, 0x7bff, 0x0001, 0x8000, 0x7c00, 0xfc00].map(f16ToNumber), [
    1,
    -2,
    65504,
    2 ** -24,
    -0,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
  ]);
  assert.ok(Number.isNaN(f16ToNumber(0x7e00)));
  assert.equal([...convert(tensor('bf16', [2], Uint16Array.of(0x3f80, 0xc040)), 'f32').data], [1, -3]);
  assert.equal([...convert(tensor('i64', [2], BigInt64Array.of(-5n, 2n)), 'i32').data], [-5, 2]);
  assert.equal([...convert(tensor('i32', [1], Int32Array.of(-5)), 'i64').data], [-5n]);
  assert.throws(() => convert(tensor('i64', [1], BigInt64Array.of(1n << 31n)), 'i32'), /holds 2147483648 at element 0/);
  // To the nearest, ties to even.
  const halves = Float32Array.of(1, 1 + 2 ** -8, 1 + 3 * 2 ** -8, -Number.MAX_VALUE);
  assert.equal([...convert(tensor('f32', [4], halves), 'bf16').data], [0x3f80, 0x3f80, 0x3f82, 0xff80]);
  assert.throws(() => convert(tensor('f32', [1], Float32Array.of(1)), 'i32'), /not convert/);
});

test('shards: an index, a folder, and indices that point wrong', async () => {
  const place = join(folder, 'sharded');
  mkdirSync(place);
  await writeSafetensors(join(place, 'one.safetensors'), { a: sample.f32! });
  await writeSafetensors(join(place, 'two.safetensors'), { b: sample.i64!, unlisted: sample.i32! });
  const index = join(place, 'model.safetensors.index.json');
  const write = (map: unknown) =>
    writeFileSync(index, JSON.stringify({ metadata: { total_size: 40 }, weight_map: map }));
  write({ a: 'one.safetensors', b: 'two.safetensors' });
  for (const path of [index, place]) {
    const opened = await openSafetensors(path);
    assert.equal([...opened.tensors.keys()], ['a', 'b']);
    assert.equal((await readTensor(opened, 'b')).data, sample.i64!.data);
  }
  for (const map of [
    undefined,
    [],
    { a: 5 },
    { a: '../original.safetensors' },
    { a: '/etc/passwd' },
    { a: 'two.safetensors' },
  ]) {
    write(map);
    assert.is(await codeOf(index), 'weights-index-invalid');
  }
  write({ a: 'three.safetensors' });
  assert.is(await codeOf(index), 'weights-not-found');
  writeFileSync(index, '{');
  assert.is(await codeOf(index), 'weights-index-invalid');
});

test('paths and names that lead nowhere', async () => {
  assert.is(await codeOf(join(folder, 'nothing')), 'weights-not-found');
  assert.is(await codeOf(freshFolder('safetensors')), 'weights-not-found');
  assert.is(await codeOf('/dev/zero'), 'weights-unreadable');
  const opened = await openSafetensors(join(folder, 'sample.safetensors'));
  const codes = await Promise.all(
    [readTensor(opened, 'bf61'), readTensor(opened, 'f32', 'i32'), readTensor(opened, 'i64', 'i32')].map((read) =>
      read.then(
        () => 'read',
        (error) => error.code,
      ),
    ),
  );
  assert.equal(codes, ['weights-name-unknown', 'weights-dtype-unsupported', 'weights-value-range']);
});

test.run();
