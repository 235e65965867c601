// Sessions on the interpreter: the trained byte model continues a prompt as the reference did.

import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import bytesLm from '../../examples/bytes-lm/model.ts';
import { trace } from '../../src/dsl/model.ts';
import { describeGraph, loadInterpreted } from '../../src/interpret-engine.ts';
import { Session, sessionSymbols, type UltramemError } from '../../src/runtime/index.ts';

const test = suite('interpret engine');
const folder = resolve(import.meta.dirname, '../../examples/bytes-lm');
const weights = resolve(folder, 'ultramem-bytes.safetensors');
const { prompts } = JSON.parse(readFileSync(resolve(folder, 'prompts.json'), 'utf8')) as {
  prompts: { prompt: string; greedy: string }[];
};

test('greedy text equals the reference’s, generated side by side', async () => {
  const loaded = await loadInterpreted(trace(bytesLm), weights);
  using session = new Session(loaded.openEngine(sessionSymbols(loaded.model, { maxSequences: 2 })));
  loaded.dispose();
  const generations = await Promise.all(
    prompts.slice(0, 2).map(({ prompt }) => session.complete(prompt, { maxTokens: 6 })),
  );
  assert.equal(
    generations.map(({ text }) => text),
    prompts.slice(0, 2).map(({ greedy }) => greedy.slice(0, 6)),
  );
});

test('taps come as further outputs, and a disposed session says so', async () => {
  const graph = trace(bytesLm);
  const loaded = await loadInterpreted(graph, weights, { taps: true });
  const session = new Session(loaded.openEngine(sessionSymbols(loaded.model, { maxSequences: 1 })));
  const outputs = await session.forward({ ids: [256, 65], positions: [0, 1], sequence: [0, 0] });
  for (const { name, shape } of describeGraph(graph, { taps: true }).outputs) {
    assert.equal(
      outputs[name]?.shape,
      shape.map((dim) => (dim === 'T' ? 2 : dim)),
      name,
    );
  }
  session.dispose();
  await session.forward({ ids: [256], positions: [0], sequence: [0] }).then(
    () => assert.unreachable(),
    (error: UltramemError) => assert.is(error.code, 'disposed'),
  );
});

test.run();
