// What is counted when nobody says: weights within their bounds, tokens where a language model can have them.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import bytesLm from '../../examples/bytes-lm/model.ts';
import { trace } from '../../src/compile.ts';
import { describeGraph } from '../../src/interpret-engine.ts';
import { describeStep, randomStep, randomWeights, sequencesFor } from '../../src/profile/random-step.ts';
import { checkInputs } from '../../src/runtime/inputs.ts';

const test = suite('profile: random steps');
const model = describeGraph(trace(bytesLm));
const context = model.inputs.find(({ name }) => name === 'positions')!.below as number;

function stepOf(tokens: number, past?: number) {
  const session = { S: sequencesFor(model, tokens) };
  const step = randomStep(model, { ...session, T: tokens }, tokens, past, 7);
  checkInputs(model, session, step.inputs); // throws where anything is out of its bounds
  const list = (name: string) => [...(step.inputs[name]!.data as Int32Array)];
  return { ...step, positions: list('positions'), sequence: list('sequence') };
}

test('few tokens are one each of as many sequences, whose caches are half full', () => {
  const { positions, sequence, runs } = stepOf(3);
  assert.equal(positions, [context / 2, context / 2, context / 2]);
  assert.equal(sequence, [0, 1, 2]);
  assert.is(describeStep({ tokens: 3, runs }), `1 token of 3 sequences each, from position ${context / 2} on`);
});

test('many tokens are a prompt of one sequence', () => {
  const { positions, sequence } = stepOf(40);
  assert.equal(
    positions,
    Array.from({ length: 40 }, (_, i) => i),
  );
  assert.equal(sequence, new Array(40).fill(0));
});

test('more than a context are prompts of several sequences', () => {
  const { sequence, positions } = stepOf(context + 10);
  assert.is(sequence.at(-1), 1);
  assert.is(positions[0], 0);
  assert.ok(Math.max(...positions) < context);
});

test('positions held before are as asked, as far as the cache goes', () => {
  assert.equal(stepOf(1, 5).positions, [5]);
  assert.equal(stepOf(1, 1e9).positions, [context - 1]);
  assert.is(stepOf(20, 30).positions[0], 30);
});

test('weights have their types, integers their bounds, and the same seed gives the same', () => {
  const weights = randomWeights(model, 3);
  assert.equal(
    Object.keys(weights),
    model.weights.map(({ name }) => name),
  );
  for (const { name, below, dtype } of model.weights) {
    const { data, dtype: own } = weights[name]!;
    assert.is(own, dtype);
    if (typeof below === 'number')
      assert.ok(
        [...data].every((x) => Number(x) >= 0 && Number(x) < below),
        name,
      );
    else
      assert.ok(
        [...data].every((x) => Number.isFinite(x) && Math.abs(Number(x)) <= 2),
        name,
      );
  }
  assert.ok(
    model.weights.some(({ below }) => below !== undefined),
    'a shuffle table',
  );
  assert.equal(randomWeights(model, 3), weights);
});

test.run();
