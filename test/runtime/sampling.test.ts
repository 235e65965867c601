// Sampling: the generator's published answers, and properties of every option.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { philox, uniform } from '../../src/runtime/philox.ts';
import { createSampler, greedy } from '../../src/runtime/sampling.ts';
import { steepnessOf, weigh } from '../../src/runtime/token-weights.ts';
import type { UltramemError } from '../../src/support/errors.ts';
import { Random } from '../random.ts';
import { seed } from '../settings.ts';

const test = suite('sampling');
const logits = (...values: number[]) => Float32Array.from(values);

/** Tokens drawn in `count` choices, with how often each was. */
function drawn(row: Float32Array, options: Parameters<typeof createSampler>[0], count = 4000): Map<number, number> {
  const sample = createSampler({ temperature: 1, seed: 1, ...options });
  const seen = new Map<number, number>();
  for (let i = 0; i < count; i++) {
    const id = sample(row, i);
    seen.set(id, (seen.get(id) ?? 0) + 1);
  }
  return seen;
}

const ids = (seen: Map<number, number>) => [...seen.keys()].sort((a, b) => a - b);

test('philox gives the published known answers', () => {
  const hex = (words: number[]) => words.map((word) => word.toString(16).padStart(8, '0')).join(' ');
  const ones = 0xffffffff;
  assert.is(hex(philox([0, 0, 0, 0], [0, 0])), '6627e8d5 e169c58d bc57ac4c 9b00dbd8');
  assert.is(hex(philox([ones, ones, ones, ones], [ones, ones])), '408f276d 41c83b0e a20bc7c6 6d5451fd');
  assert.is(
    hex(philox([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0])),
    'd16cfe09 94fdcceb 5001e420 24126ea1',
  );
});

test('uniform numbers lie in [0, 1), average a half, and depend on seed and index alone', () => {
  const numbers = Array.from({ length: 10_000 }, (_, i) => uniform(seed, i));
  assert.ok(numbers.every((u) => u >= 0 && u < 1));
  assert.ok(Math.abs(numbers.reduce((a, b) => a + b) / 10_000 - 0.5) < 0.01);
  assert.is(new Set(numbers).size, 10_000);
  assert.is(uniform(seed, 77), numbers[77]);
  assert.is.not(uniform(2 ** 40, 0), uniform(0, 0), 'the high half of the seed counts');
});

test('greedy: largest, of equals the lowest id, never NaN', () => {
  assert.is(greedy(logits(1, 3, 3, 2)), 1);
  assert.is(greedy(logits(Number.NaN, -5, -4, Number.NaN)), 2);
  assert.is(greedy(logits(Number.NaN, Number.NEGATIVE_INFINITY)), 1);
  assert.is(greedy(logits(Number.NaN, Number.NaN)), 0);
  assert.is(createSampler()(logits(0, 9, 9), 5), 1, 'greedy is the default');
});

test('frequencies follow the softmax at the temperature', () => {
  const row = logits(0, 1, 2, 3);
  for (const temperature of [0.5, 1, 2]) {
    const weights = [...row].map((x) => Math.exp(x / temperature));
    const total = weights.reduce((a, b) => a + b);
    const seen = drawn(row, { temperature });
    weights.forEach((weight, id) => {
      const got = (seen.get(id) ?? 0) / 4000;
      assert.ok(Math.abs(got - weight / total) < 0.03, `T ${temperature}: ${id} came ${got}, not ${weight / total}`);
    });
  }
});

test('a tiny temperature is greedy, also where exp would overflow', () => {
  assert.equal(ids(drawn(logits(1, 2, 1.9), { temperature: 1e-6 })), [1]);
  assert.equal(ids(drawn(logits(1e38, -1e38, 3e38), { temperature: 1e-6 })), [2]);
});

test('topK keeps the k largest; equal ones by lowest id', () => {
  assert.equal(ids(drawn(logits(1, 1, 2, 1, 1), { topK: 3 })), [0, 1, 2]);
  assert.equal(ids(drawn(logits(1, 5, 2), { topK: 1 })), [1]);
  assert.equal(ids(drawn(logits(1, 1.1, 1.2), { topK: 100 })), [0, 1, 2]);
});

test('topP keeps the shortest beginning that reaches it', () => {
  const row = logits(Math.log(0.1), Math.log(0.5), Math.log(0.15), Math.log(0.25));
  assert.equal(ids(drawn(row, { topP: 0.49 })), [1]);
  assert.equal(ids(drawn(row, { topP: 0.51 })), [1, 3]);
  assert.equal(ids(drawn(row, { topP: 0.76 })), [1, 2, 3]);
  assert.equal(ids(drawn(row, { topP: 1 })), [0, 1, 2, 3]);
  assert.equal(ids(drawn(logits(0, 0, 0, 0), { topP: 0.5 })), [0, 1], 'ties by lowest id');
  assert.equal(ids(drawn(row, { topK: 2, topP: 0.6 })), [1], 'topP is of what topK left: 0.5 of 0.75');
});

test('random rows: draws lie in the set that a full sort gives', () => {
  const random = new Random(seed, 'sampling');
  for (let round = 0; round < 300; round++) {
    const row = random.coarse([1 + random.below(40)]).data;
    const topK = 1 + random.below(45);
    const topP = random.uniform() < 0.3 ? 1 : 0.05 + 0.95 * random.uniform();
    const temperature = 0.2 + random.uniform();
    const order = [...row.keys()].sort((a, b) => row[b]! - row[a]! || a - b).slice(0, topK);
    const weights = order.map((id) => Math.exp((row[id]! - row[order[0]!]!) / temperature));
    const total = weights.reduce((a, b) => a + b);
    let sum = 0;
    const end = weights.findIndex((weight) => (sum += weight) >= (topP - 1e-9) * total);
    const allowed = new Set(order.slice(0, end + 1));
    for (const id of drawn(row, { topK, topP, temperature, seed: round }, 50).keys()) {
      assert.ok(allowed.has(id), `seed ${seed}, round ${round}: drew ${id}`);
    }
  }
});

test('random rows: the token of a full sort, and of an exact sum', () => {
  const random = new Random(seed, 'sampling in order');
  for (let round = 0; round < 400; round++) {
    const size = 1 + random.below(60);
    const row = round % 2 === 0 ? random.coarse([size]).data : random.f32([size]).data;
    const topK = random.below(2) === 0 ? undefined : 1 + random.below(size + 5);
    const topP = random.below(2) === 0 ? 1 : 0.05 + 0.95 * random.uniform();
    const temperature = 0.2 + random.uniform();
    const order = [...row.keys()].sort((a, b) => row[b]! - row[a]! || a - b).slice(0, topK);
    const weights = weigh(row, row[order[0]!]!, steepnessOf(temperature));
    const sum = (count: number) => order.slice(0, count).reduce((total, id) => total + BigInt(weights[id]!), 0n);
    const reaching = (target: number) => 1 + order.findIndex((_, i) => Number(sum(i + 1)) >= target);
    const kept = topP === 1 ? order.length : reaching(topP * Number(sum(order.length)));
    const options = { temperature, topP, seed: round, ...(topK !== undefined && { topK }) };
    const sample = createSampler(options);
    for (let index = 0; index < 20; index++) {
      const target = Math.floor(uniform(round, index) * Number(sum(kept))) + 1;
      const wanted = topK === 1 ? order[0] : order[reaching(target) - 1];
      assert.is(sample(row, index), wanted, `seed ${seed}, round ${round}, index ${index}`);
    }
  }
});

test('weights are those of the softmax, and whole numbers whose sums are exact', () => {
  const random = new Random(seed, 'weights');
  for (const size of [1, 2, 257, 4096, 50257]) {
    for (const temperature of [0.01, 1, 40]) {
      const row = random.f32([size]).data.map((logit) => 4 * logit);
      const largest = row.reduce((a, b) => Math.max(a, b));
      const weights = weigh(row, largest, steepnessOf(temperature));
      const one = weights[row.indexOf(largest)]!;
      assert.ok(one * size <= 2 ** 53, `${size}: sums stay below 2^53`);
      assert.ok(one * size > 2 ** 51, `${size}: as fine as that allows`);
      weights.forEach((weight, id) => {
        const exact = Math.exp((row[id]! - largest) / temperature);
        assert.ok(Number.isInteger(weight));
        const error = Math.abs(weight / one - exact);
        const most = exact * (3e-7 + 2e-7 * Math.abs(Math.log(exact))) + 1 / one;
        assert.ok(exact === 0 ? weight === 0 : error <= most, `${size}: ${weight / one} for ${exact}`);
      });
    }
  }
});

test('NaN and infinite logits', () => {
  assert.equal(ids(drawn(logits(Number.NaN, 1, Number.NaN, 1), {})), [1, 3]);
  assert.equal(ids(drawn(logits(5, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY), {})), [1, 2]);
  assert.equal(ids(drawn(logits(Number.NEGATIVE_INFINITY, 1), { topK: 2, topP: 0.9 })), [1]);
  assert.equal(ids(drawn(logits(Number.NaN, Number.NaN), {})), [0]);
});

test('a seed repeats; no seed does not', () => {
  const row = new Float32Array(257);
  const take = (options: Parameters<typeof createSampler>[0]) => {
    const sample = createSampler({ temperature: 1, ...options });
    return Array.from({ length: 50 }, (_, i) => sample(row, i));
  };
  assert.equal(take({ seed: 7 }), take({ seed: 7 }));
  assert.not.equal(take({ seed: 7 }), take({ seed: 8 }));
  assert.not.equal(take({}), take({}));
});

test('options that make no sense are refused', () => {
  for (const options of [
    { temperature: -1 },
    { temperature: Number.NaN },
    { temperature: Number.POSITIVE_INFINITY },
    { topK: 0 },
    { topK: 1.5 },
    { topP: 0 },
    { topP: 1.1 },
    { topP: Number.NaN },
    { seed: -1 },
    { seed: 0.5 },
  ]) {
    assert.throws(
      () => createSampler(options),
      (error: UltramemError) => error.code === 'option-invalid',
      JSON.stringify(options),
    );
  }
});

test.run();
