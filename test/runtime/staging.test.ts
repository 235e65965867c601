// Copies in memory that is used again: always what was copied, never shared by two that are in use.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Staging } from '../../src/runtime/staging.ts';

const test = suite('staging');
const numbers = (n: number, first: number) => Float32Array.from({ length: n }, (_, i) => first + i);

test('a copy is one, of the same type and length, whatever lay in its memory', () => {
  const staging = new Staging();
  const before = staging.copy(numbers(20_000, 1));
  staging.release(before);
  const shorter = staging.copy(Int32Array.from({ length: 9000 }, (_, i) => -i));
  assert.is(shorter.buffer, before.buffer, 'the memory is used again');
  assert.instance(shorter, Int32Array);
  assert.equal(
    shorter,
    Int32Array.from({ length: 9000 }, (_, i) => -i),
  );
});

test('copies in use share no memory, nor do they with what was copied', () => {
  const staging = new Staging();
  const source = numbers(8192, 5);
  staging.release(staging.copy(source));
  const [one, two] = [staging.copy(source), staging.copy(source)];
  assert.is.not(one.buffer, two.buffer);
  source.fill(0);
  one.fill(1);
  assert.equal(two, numbers(8192, 5));
});

test('the least memory that is enough is taken', () => {
  const staging = new Staging();
  const copies = [30_000, 10_000, 20_000].map((n) => staging.copy(numbers(n, 0)));
  for (const copy of copies) staging.release(copy);
  assert.is(staging.copy(numbers(15_000, 0)).buffer, copies[2]!.buffer);
  assert.is(staging.copy(numbers(15_000, 0)).buffer, copies[0]!.buffer);
  assert.is.not(staging.copy(numbers(15_000, 0)).buffer, copies[1]!.buffer);
});

test('what is kept has an end', () => {
  const staging = new Staging();
  const copies = Array.from({ length: 6 }, () => staging.copy(new Float32Array(4 << 20)));
  for (const copy of copies) staging.release(copy);
  const again = Array.from({ length: 6 }, () => staging.copy(new Float32Array(4 << 20)));
  const kept = again.filter(({ buffer }) => copies.some((copy) => copy.buffer === buffer));
  assert.is(kept.length, 4, '64 MiB');
});

test.run();
