// A forked sequence goes on as the one it was copied from would, on every target, and leaves that one alone.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { causalConv, embedding, linear, model } from '../../src/dsl/index.ts';
import { trace } from '../../src/dsl/model.ts';
import { decoder } from '../../src/models/index.ts';
import { openModel } from '../../src/open-model.ts';
import { Session, type UltramemError } from '../../src/runtime/index.ts';
import { Random } from '../random.ts';
import { languageEngine } from './language-engine.ts';

const test = suite('fork');
const [vocab, D] = [16, 8];

/** A cache by position, and a window. */
const small = model('fork', (m) => {
  decoder(m, {
    vocab,
    width: D,
    layers: 1,
    heads: 2,
    context: 8,
    feedForward: { kind: 'gelu', rows: 8 },
    maxSequences: 4,
  });
});
const window = model('fork-window', (m) => {
  const { ids, positions, sequence } = m.tokens({ vocab, context: 8, maxTokens: 8, maxSequences: 4 });
  const table = m.weight('table', [vocab, D]);
  const state = m.state('window', [m.symbol('S'), 2, D]);
  const x = causalConv(embedding(table, ids), m.weight('conv', [D, 3]), { positions, sequence, window: state });
  m.output('logits', linear(x, table));
});

for (const target of ['interpreter', 'cpu', 'simt'] as const) {
  for (const of of [small, window]) {
    test(`${of.name} on ${target}`, async () => {
      const weights = Object.fromEntries(
        trace(of).weights.map(({ name, type }) => [name, new Random(1, name).f32(type.shape.map(Number))]),
      );
      await using session = await openModel(of, weights, { target, maxSequences: 4 });
      const step = async (sequence: number, ids: number[], start: number): Promise<Float32Array> => {
        const positions = ids.map((_, i) => start + i);
        const { logits } = await session.forward({ ids, positions, sequence: ids.map(() => sequence) });
        return logits!.data.slice(-vocab) as Float32Array;
      };
      await step(0, [3, 9, 1, 4], 0);
      await step(1, [7, 7], 0);
      assert.equal([await session.fork(0), await session.fork(0)], [2, 3]);
      assert.is(session.sequences!.length(2), 4);
      const [own, copy, other] = [await step(0, [5], 4), await step(2, [5], 4), await step(1, [5], 2)];
      assert.equal(copy, own);
      assert.not.equal(other, own);
      await step(2, [8, 8], 5);
      const further = await step(0, [6], 5);
      assert.equal(await step(3, [5], 4), own, 'what another copy did since is its own');
      assert.equal(await step(3, [6], 5), further);
    });
  }
}

test('a fork waits for the steps before it, and refuses what cannot be', async () => {
  const engine = languageEngine(new Uint8Array([65, 66, 67]), { sequences: 3 });
  const session = new Session(engine);
  const one = (position: number) => session.forward({ ids: [65], positions: [position], sequence: [0] });
  const lengths: number[] = [];
  const fork = async () => {
    const to = await session.fork(0);
    lengths.push(to, session.sequences!.length(to));
  };
  await Promise.all([one(0), one(1), fork(), one(2), fork(), one(3)]);
  assert.equal(lengths, [1, 2, 2, 3]);
  assert.equal(engine.steps, [1, 1, 1, 1]);
  const code = (promise: Promise<unknown>) =>
    promise.then(
      () => '',
      ({ code }: UltramemError) => code,
    );
  assert.is(await code(session.fork(0)), 'no-free-sequence');
  session.sequences!.free(2);
  assert.is(await code(session.fork(2)), 'sequence-not-in-use');
  engine.copySequence = () => Promise.reject(Object.assign(new Error('no'), { code: 'step-failed' }));
  assert.is(await code(session.fork(1)), 'step-failed');
  assert.not(session.sequences!.inUse(2), 'what was taken for the copy is free again');
  assert.is(await code(session.fork(1, { signal: AbortSignal.abort() })), 'aborted');
  session.dispose();
  assert.is(await code(session.fork(0)), 'disposed');
});

test.run();
