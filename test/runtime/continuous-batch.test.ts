// Generations at the same time: each says what it would say alone, whoever comes, goes, dawdles or fails beside it.

import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Generation, Session } from '../../src/runtime/index.ts';
import type { Tokenizer } from '../../src/runtime/tokenizer.ts';
import { createByteTokenizer } from '../../src/runtime/tokenizer-bytes.ts';
import { seed } from '../settings.ts';
import { languageEngine } from './language-engine.ts';

const test = suite('continuous batch');
const said = new TextEncoder().encode('abcdefg');
const tick = (milliseconds = 0) => new Promise((resolve) => setTimeout(resolve, milliseconds));

const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'nothing was thrown',
    (error) => error.code ?? error.message,
  );

/** What the engine says behind a prompt of so many characters. */
const continuation = (prompt: string, count: number): string =>
  Array.from({ length: count }, (_, i) => String.fromCharCode(said[(prompt.length + i) % said.length]!)).join('');

const sum = (steps: readonly number[]): number => steps.reduce((a, b) => a + b, 0);

test('calls at the same time share steps and say the same', async () => {
  const run = async (shareSteps: boolean) => {
    const engine = languageEngine(said, { sequences: 6, most: 16 });
    const session = new Session(engine, { shareSteps });
    const prompts = ['', 'x', 'xy', 'xyz', 'x'.repeat(20)];
    const generations = await Promise.all(prompts.map((prompt) => session.complete(prompt, { maxTokens: 8 })));
    return { texts: generations.map(({ text }) => text), steps: engine.steps };
  };
  const apart = await run(false);
  const shared = await run(true);
  assert.equal(shared.texts, apart.texts);
  assert.is(sum(shared.steps), sum(apart.steps), 'no token runs twice');
  assert.is(apart.steps.length, 5 * 8 + 1);
  // Four short prompts of 10 tokens and 6 of the long one's 21; 12 of it beside four texts that grow, and 3; all five; it alone.
  assert.equal(shared.steps, [16, 16, 7, 5, 5, 5, 5, 5, 1, 1]);
});

test('a prompt that comes late is read in pieces, and no step leaves out those that grow', async () => {
  const engine = languageEngine(said, { sequences: 3, most: 64, context: 64 });
  const session = new Session(engine, { promptTokens: 5 });
  const first = session.complete('x', { maxTokens: 40 });
  const second = session.complete('xyz', { maxTokens: 40 });
  await tick(4);
  const before = engine.steps.length;
  const late = await session.complete('y'.repeat(32), { maxTokens: 3 });
  assert.is(late.text, continuation('y'.repeat(32), 3));
  assert.is((await first).text, continuation('x', 40));
  assert.is((await second).text, continuation('xyz', 40));
  assert.equal(engine.steps.slice(0, before), [2 + 4, ...new Array(before - 1).fill(2)]);
  const read = engine.steps.indexOf(7);
  assert.equal(engine.steps.slice(read, read + 7), [7, 7, 7, 7, 7, 7, 5], '33 tokens in pieces of 5, beside 2');
});

test('more texts than a step has tokens take turns', async () => {
  const engine = languageEngine(said, { sequences: 6, most: 2 });
  const session = new Session(engine);
  const counts = new Array<number>(6).fill(0);
  await Promise.all(
    counts.map(async (_, i) => {
      for await (const _ of session.generate('', { maxTokens: 10 })) {
        counts[i]!++;
        assert.ok(Math.max(...counts) - Math.min(...counts) <= 4, `${counts}`);
      }
    }),
  );
  assert.equal(counts, new Array(6).fill(10));
  assert.equal(engine.steps, new Array(30).fill(2));
});

test('a caller who dawdles holds up its own text alone', async () => {
  const engine = languageEngine(said, { sequences: 2 });
  const session = new Session(engine);
  const slow = session.generate('', { maxTokens: 30 });
  await slow.next();
  const other = await session.complete('xx', { maxTokens: 20 });
  assert.is(other.text, continuation('xx', 20));
  const ahead = sum(engine.steps) - 3 - 19;
  assert.ok(ahead >= 2 && ahead <= 4, `${ahead} tokens were run for a caller who took one`);
  let rest = '';
  for await (const { text } of slow) rest += text;
  assert.is(rest, continuation('', 30).slice(1));
});

test('texts come and go at random moments; nobody else notices', async () => {
  const text = fc.record({
    prompt: fc.integer({ min: 0, max: 30 }).map((length) => 'p'.repeat(length)),
    maxTokens: fc.integer({ min: 1, max: 20 }),
    begin: fc.integer({ min: 0, max: 12 }),
    /** Steps of the event loop after which it is aborted, or tokens after which its caller leaves. */
    end: fc.option(fc.record({ how: fc.constantFrom('abort', 'leave'), after: fc.integer({ min: 0, max: 12 }) })),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(text, { minLength: 2, maxLength: 8 }),
      fc.integer({ min: 1, max: 16 }),
      fc.integer({ min: 1, max: 3 }),
      fc.boolean(),
      async (texts, most, sequences, samples) => {
        const engine = languageEngine(said, { sequences, most, samples });
        const session = new Session(engine, { promptTokens: 3 });
        await Promise.all(
          texts.map(async ({ prompt, maxTokens, begin, end }) => {
            await tick(begin);
            const wanted = continuation(prompt, maxTokens);
            const controller = new AbortController();
            if (end?.how === 'abort') setTimeout(() => controller.abort(), end.after);
            let got = '';
            let count = 0;
            try {
              const options = { maxTokens, signal: controller.signal, wait: true };
              for await (const part of session.generate(prompt, options)) {
                got += part.text;
                if (end?.how === 'leave' && ++count > end.after) break;
              }
              if (end?.how !== 'leave') assert.is(got, wanted);
            } catch (error) {
              assert.is((error as { code?: string }).code, 'aborted', String(error));
              assert.is(end?.how, 'abort');
            }
            assert.ok(wanted.startsWith(got), `${got} is no beginning of ${wanted}`);
          }),
        );
        for (let sequence = 0; sequence < sequences; sequence++) assert.not(session.sequences!.inUse(sequence));
        assert.is((await session.complete('', { maxTokens: 3 })).text, 'abc', 'the session goes on');
      },
    ),
    { seed, numRuns: 60 },
  );
});

test('wait: calls beyond the sequences stand in line, and may leave it', async () => {
  const session = new Session(languageEngine(said, { sequences: 2 }));
  const order: number[] = [];
  const gone = new AbortController();
  const run = (i: number, signal?: AbortSignal): Promise<Generation> =>
    session.complete('x'.repeat(i), { maxTokens: 4, wait: true, signal }).finally(() => order.push(i));
  const calls = Array.from({ length: 7 }, (_, i) => run(i, i === 4 ? gone.signal : undefined));
  const refused = codeOf(session.complete('', { maxTokens: 4 }));
  gone.abort();
  assert.is(await codeOf(calls[4]!), 'aborted');
  assert.is(await refused, 'no-free-sequence', 'without wait it is an error');
  calls.splice(4, 1);
  const texts = (await Promise.all(calls)).map(({ text }) => text);
  assert.equal(
    texts,
    [0, 1, 2, 3, 5, 6].map((i) => continuation('x'.repeat(i), 4)),
  );
  assert.is(order[0], 4);
  const pairs = [order.slice(1, 3), order.slice(3, 5), order.slice(5)];
  assert.equal(
    pairs.map((pair) => pair.sort()),
    [
      [0, 1],
      [2, 3],
      [5, 6],
    ],
  );
  const held = [session.sequences!.allocate(), session.sequences!.allocate()];
  const waiting = session.complete('', { wait: true, maxTokens: 1 });
  await tick(1);
  session.sequences!.free(held[1]!);
  assert.is((await waiting).text, 'a', 'a sequence that the caller frees goes to who waits');
  const late = session.sequences!.acquire();
  assert.is(await late, 1);
  const never = codeOf(session.sequences!.acquire());
  session.dispose();
  assert.is(await never, 'disposed');
  assert.is(await codeOf(session.sequences!.acquire()), 'disposed');
});

test('a step that nobody waits for any more is cancelled; one that somebody waits for is not', async () => {
  const engine = languageEngine(said, { sequences: 2, most: 16 });
  const signals: AbortSignal[] = [];
  const { step } = engine;
  engine.step = function (given) {
    signals.push(given.signal!);
    return step.call(this, given);
  };
  const session = new Session(engine);
  const [one, two] = [new AbortController(), new AbortController()];
  const calls = [one, two].map(({ signal }) => session.complete('', { signal, maxTokens: 50 }));
  const codes = calls.map(codeOf);
  await tick(3);
  one.abort();
  assert.is(await codes[0], 'aborted');
  assert.not(signals.some(({ aborted }) => aborted));
  two.abort();
  assert.is(await codes[1], 'aborted');
  assert.is(signals.at(-1)!.aborted, true);
  assert.is((await session.complete('', { maxTokens: 2 })).text, 'ab');
});

test('a text whose sequence was taken from it, or whose tokenizer throws, fails alone', async () => {
  const engine = languageEngine(said, { sequences: 3 });
  const session = new Session(engine);
  const bytes = createByteTokenizer({ kind: 'bytes', bos: 256, eos: [] });
  const broken: Tokenizer = {
    ...bytes,
    stream: () => ({
      push() {
        throw new Error('no such id');
      },
      end: () => '',
    }),
  };
  const calls = [
    session.complete('', { maxTokens: 20 }),
    session.complete('x', { maxTokens: 20 }),
    session.complete('xx', { maxTokens: 20, tokenizer: broken }),
  ];
  const codes = calls.map(codeOf);
  await tick(3);
  session.sequences!.free(0);
  assert.is(await codes[0], 'sequence-not-in-use');
  assert.is(await codes[2], 'no such id');
  assert.is((await calls[1])!.text, continuation('x', 20));
});

test('a step that fails ends the texts in it, and the session goes on', async () => {
  const engine = languageEngine(said, { sequences: 3 });
  const { step } = engine;
  const session = new Session(engine);
  const calls = ['', 'x'].map((prompt) => codeOf(session.complete(prompt, { maxTokens: 20 })));
  await tick(3);
  engine.step = () => Promise.reject(Object.assign(new Error('no'), { code: 'step-failed' }));
  assert.equal(await Promise.all(calls), ['step-failed', 'step-failed']);
  engine.step = step;
  assert.is((await session.complete('', { maxTokens: 2 })).text, 'ab');
  const open = codeOf(session.complete('', { maxTokens: 60 }));
  await tick(3);
  session.dispose();
  assert.is(await open, 'disposed');
});

test('options out of range are refused', () => {
  for (const promptTokens of [0, -1, 1.5, Number.NaN]) {
    assert.throws(
      () => new Session(languageEngine(said), { promptTokens }),
      (error: { code?: string }) => error.code === 'option-invalid',
    );
  }
});

test.run();
