// Generation: prefill in chunks, every way to end, text that arrives in whole characters, sequences that come back.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  checkSampling,
  type GeneratedToken,
  type GenerateOptions,
  Session,
  type Tensor,
} from '../../src/runtime/index.ts';
import { createStopText } from '../../src/runtime/stop-text.ts';
import { createByteTokenizer } from '../../src/runtime/tokenizer-bytes.ts';
import { UltramemError } from '../../src/support/errors.ts';
import { languageEngine } from './language-engine.ts';

const test = suite('generate');
const bytes = (text: string) => new TextEncoder().encode(text);

const all = async (tokens: AsyncGenerator<GeneratedToken>): Promise<GeneratedToken[]> => {
  const list: GeneratedToken[] = [];
  for await (const token of tokens) list.push(token);
  return list;
};

const codeOf = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    if (error instanceof UltramemError) return error.code;
    throw error;
  }
  return 'nothing was thrown';
};

const rejection = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'nothing was thrown',
    (error) => error.code,
  );

test('prefill goes in the largest steps the model takes, then token by token', async () => {
  const engine = languageEngine(bytes('abcdefghij'), { most: 8 });
  const session = new Session(engine);
  const generation = await session.complete('x'.repeat(19), { maxTokens: 4 });
  assert.equal(engine.steps, [8, 8, 4, 1, 1, 1]);
  assert.equal(generation, { text: 'jabc', tokens: [...bytes('jabc')], finishReason: 'length' });
  assert.is(session.sequences!.inUse(0), false);
});

test('text comes in whole characters, and all of it', async () => {
  const session = new Session(languageEngine(bytes('aé€😀')));
  const tokens = await all(session.generate('', { maxTokens: 10 }));
  assert.equal(
    tokens.map(({ text }) => text),
    ['a', '', 'é', '', '', '€', '', '', '', '😀'],
  );
  assert.equal(
    tokens.map(({ finishReason }) => finishReason),
    [...new Array(9).fill(undefined), 'length'],
  );
  const cut = await session.complete('', { maxTokens: 5 });
  assert.is(cut.text, 'aé\ufffd', 'an unfinished character at the end shows as U+FFFD');
  const broken = new Session(languageEngine(Uint8Array.of(97, 0xff, 98)));
  assert.is((await broken.complete('', { maxTokens: 3 })).text, 'a\ufffdb');
});

test('a character whose first bytes end the prompt is completed', async () => {
  const session = new Session(languageEngine(bytes('né')));
  assert.is((await session.complete([256, 110, 0xc3], { maxTokens: 1 })).text, 'é');
});

test('a stop string ends the text before it, also across tokens, and is never shown in part', async () => {
  const session = new Session(languageEngine(bytes('one two END three')));
  const tokens = await all(session.generate('', { stop: ['END', 'never'] }));
  assert.is(tokens.map(({ text }) => text).join(''), 'one two ');
  assert.is(tokens.at(-1)!.finishReason, 'stop');
  assert.is(tokens.length, 11);
  const held = await session.complete('', { stop: 'o E!', maxTokens: 9 });
  assert.is(held.text, 'one two E', 'what only began like a stop string comes at the end');
});

test('stop tokens and end tokens end it; they stand for no text', async () => {
  const session = new Session(languageEngine(bytes('abc')));
  assert.equal(await session.complete('', { stopTokens: [99] }), {
    text: 'ab',
    tokens: [97, 98, 99],
    finishReason: 'stop',
  });
  const ends = new Session(languageEngine(bytes('ab\0'), { tokenizer: { kind: 'bytes', bos: null, eos: [0] } }));
  assert.is((await ends.complete('zzzz')).text, 'ab');
});

test('without maxTokens it goes on until the cache is full', async () => {
  const session = new Session(languageEngine(bytes('ab'), { context: 16 }));
  const { tokens, finishReason } = await session.complete('xyz');
  assert.is(finishReason, 'context');
  assert.is(tokens.length, 16 - 4 + 1, 'the last token needs no place in the cache');
  assert.is((await session.complete('x'.repeat(15))).tokens.length, 1, 'a prompt as long as the cache gets one token');
});

test('calls that cannot work fail at once', () => {
  const session = new Session(languageEngine(bytes('ab'), { context: 16 }));
  const code = (prompt: unknown, options: GenerateOptions = {}) =>
    codeOf(() => session.generate(prompt as never, options));
  assert.is(code('x'.repeat(16)), 'prompt-too-long');
  assert.is(code([]), 'prompt-empty');
  assert.is(code([257]), 'token-out-of-range');
  assert.is(code([1.5]), 'token-out-of-range');
  assert.is(code([2 ** 32]), 'token-out-of-range');
  assert.is(code([Number.NaN]), 'token-out-of-range');
  assert.is(code('x', { maxTokens: 0 }), 'option-invalid');
  assert.is(code('x', { maxTokens: 1.5 }), 'option-invalid');
  assert.is(code('x', { stop: '' }), 'option-invalid');
  assert.is(code('x', { temperature: -1 }), 'option-invalid');
  const plain = new Session(languageEngine(bytes('ab'), { tokenizer: null }));
  assert.is(
    codeOf(() => plain.generate('text')),
    'option-invalid',
  );
  const engine = languageEngine(bytes('ab'));
  const other = new Session({ ...engine, model: { ...engine.model, outputs: [] } });
  assert.is(
    codeOf(() => other.generate('text')),
    'not-a-language-model',
  );
  assert.is(session.sequences!.inUse(0), false);
});

test('ids in place of text; no tokenizer, no text', async () => {
  const plain = new Session(languageEngine(bytes('abc'), { tokenizer: null }));
  assert.equal(await plain.complete([5], { maxTokens: 2 }), { text: '', tokens: [97, 98], finishReason: 'length' });
});

test('leaving the loop, an error and an abort all give the sequence back', async () => {
  const engine = languageEngine(bytes('abc'), { sequences: 1 });
  const session = new Session(engine);
  for await (const { token } of session.generate('x')) {
    assert.is(token, 98);
    assert.is(session.sequences!.inUse(0), true);
    assert.is(await rejection(session.complete('y')), 'no-free-sequence');
    break;
  }
  assert.is(session.sequences!.inUse(0), false);
  const controller = new AbortController();
  const run = async () => {
    for await (const { token } of session.generate('x', { signal: controller.signal })) {
      if (token === 97) controller.abort();
    }
  };
  assert.is(await rejection(run()), 'aborted');
  assert.is(session.sequences!.inUse(0), false);
  assert.is(await rejection(session.complete('x', { signal: AbortSignal.abort() })), 'aborted');
  session.generate('never iterated');
  assert.is(session.sequences!.inUse(0), false);
  session.dispose();
  assert.is(engine.disposed, true);
  assert.is(await rejection(session.complete('x')), 'disposed');
});

test('generations side by side on one session do not mix', async () => {
  const session = new Session(languageEngine(bytes('abcdefg'), { sequences: 3 }));
  const texts = await Promise.all(['', 'x', 'xy'].map((prompt) => session.complete(prompt, { maxTokens: 5 })));
  assert.equal(
    texts.map(({ text }) => text),
    ['abcde', 'bcdef', 'cdefg'],
  );
});

test('an engine that samples is asked for the last token of a prompt and each after it', async () => {
  for (const shareSteps of [false, true]) {
    const engine = languageEngine(bytes('abcdefg'), { sequences: 6, samples: true });
    const session = new Session(engine, { shareSteps });
    const prompts = ['', 'x', 'xy', 'xyz', 'x'.repeat(20)];
    const generations = await Promise.all(prompts.map((prompt) => session.complete(prompt, { maxTokens: 8 })));
    assert.equal(
      generations.map(({ text }) => text),
      ['abcdefga', 'bcdefgab', 'cdefgabc', 'defgabcd', 'gabcdefg'],
    );
    const { asked, steps } = engine;
    assert.is(asked.length, steps.length, 'every step gave tokens alone');
    assert.is(
      asked.reduce((a, b) => a + b),
      5 * 8,
    );
    if (shareSteps) assert.ok(Math.max(...asked) >= 4, `no choices were shared: ${asked}`);
    else assert.is(asked.filter((count) => count === 0).length, 2, 'nothing of the prompt before its last piece');
  }
});

test('an engine that samples gives logits as well; one that does not has its tokens chosen', async () => {
  for (const samples of [false, true]) {
    const engine = languageEngine(bytes('abcdefg'), { sequences: 3, samples });
    const session = new Session(engine);
    const step = (sequence: number) => ({ ids: [1, 1], positions: [0, 1], sequence: [sequence, sequence] });
    const choices = [1, 0].map((row) => ({ row, index: 0, sampling: checkSampling() }));
    const [tokens, { logits }] = await Promise.all([
      session.sample(step(1), choices),
      session.forward({ ids: [1], positions: [0], sequence: [0] }),
    ]);
    assert.equal([...tokens], [...bytes('ba')]);
    assert.is(logits!.data.indexOf(1 as never), 97);
    assert.equal(engine.asked, samples ? [2] : []);
  }
});

test('steps of one sequence keep their order, a refused one harms no other', async () => {
  const session = new Session(languageEngine(bytes('abc')));
  const step = (sequence: number, position: number) =>
    session.forward({ ids: [1], positions: [position], sequence: [sequence] });
  const [first, second, gap, other, far] = [step(0, 0), step(0, 1), step(0, 7), step(1, 0), step(1, 1)];
  assert.is(await rejection(gap), 'position-gap');
  const row = async (call: Promise<Record<string, Tensor>>) => [...(await call).logits!.data].map(Number).indexOf(1);
  assert.equal(await Promise.all([first, second, other, far].map(row)), [97, 98, 97, 98]);
  const waiting = [step(0, 2), step(1, 2)].map(rejection);
  session.dispose();
  assert.is((await Promise.all(waiting))[1], 'disposed');
});

test('models with a window state take no step back except to the beginning', async () => {
  const session = new Session(languageEngine(bytes('abc'), { window: true }));
  const step = (position: number) => session.forward({ ids: [1], positions: [position], sequence: [0] });
  await step(0);
  await step(1);
  await step(2);
  assert.is(await rejection(step(1)), 'position-gap');
  await step(3);
  await step(0);
  assert.is(session.sequences!.length(0), 1);
});

test('sequences: lowest free first, all used, reset, free', () => {
  const { sequences } = new Session(languageEngine(bytes('a'), { sequences: 2 }));
  assert.is(sequences!.allocate(), 0);
  assert.is(sequences!.allocate(), 1);
  assert.is(
    codeOf(() => sequences!.allocate()),
    'no-free-sequence',
  );
  sequences!.free(0);
  sequences!.free(0);
  assert.is(
    codeOf(() => sequences!.length(0)),
    'sequence-not-in-use',
  );
  assert.is(sequences!.allocate(), 0);
  sequences!.reset(0);
  assert.is(
    codeOf(() => sequences!.reset(7)),
    'sequence-not-in-use',
  );
  sequences!.free(7);
  assert.is(
    codeOf(() => sequences!.allocate()),
    'no-free-sequence',
  );
});

test('byte tokenizer: any text and any bytes come back', () => {
  const { encode, decode, stream } = createByteTokenizer({ kind: 'bytes', bos: 256, eos: [] });
  for (const text of ['', 'plain', 'aé€😀', '\ufeffmark', 'nul\0', 'line\r\n']) {
    const ids = encode(text);
    assert.is(ids[0], 256);
    assert.is(decode(ids), text);
    const streamed = stream();
    assert.is([...ids].map((id) => streamed.push(id)).join('') + streamed.end(), text);
  }
  assert.equal([...encode(Uint8Array.of(255, 0))], [256, 255, 0]);
  assert.equal([...createByteTokenizer({ kind: 'bytes', bos: null, eos: [] }).encode('a')], [97]);
});

test('stop text: every cut of a text into pieces gives the same', () => {
  for (const [text, stops, wanted, stopped] of [
    ['abcabd', ['abd'], 'abc', true],
    ['aaab', ['aab'], 'a', true],
    ['abab', ['abc'], 'abab', false],
    ['xyz', ['z', 'yz'], 'x', true],
    ['xyz', [], 'xyz', false],
  ] as const) {
    for (let cuts = 0; cuts < 2 ** (text.length - 1); cuts++) {
      const stopText = createStopText(stops);
      let out = '';
      let piece = '';
      let done = false;
      for (let i = 0; i < text.length && !done; i++) {
        piece += text[i];
        if (i < text.length - 1 && ((cuts >> i) & 1) === 0) continue;
        const pushed = stopText.push(piece);
        out += pushed.text;
        done = pushed.stopped;
        piece = '';
      }
      out += stopText.end();
      assert.is(done, stopped);
      if (stops.length < 2) assert.is(out, wanted, `${text} cut as ${cuts.toString(2)}`);
    }
  }
});

test('turns on a sequence of their own run what is new alone', async () => {
  const engine = languageEngine(bytes('abcdefghij'), { most: 64 });
  const session = new Session(engine);
  const sequence = session.sequences!.allocate();
  const turn = async (prompt: string): Promise<{ text: string; steps: number[] }> => {
    engine.steps.length = 0;
    const { text } = await session.complete(prompt, { maxTokens: 3, sequence });
    return { text, steps: [...engine.steps] };
  };
  assert.equal(await turn('xyz'), { text: 'def', steps: [4, 1, 1] });
  assert.is(session.sequences!.length(sequence), 6, 'the token chosen last has not been run');
  assert.equal(await turn('xyzdefuv'), { text: 'ija', steps: [3, 1, 1] }, 'f, u and v');
  assert.equal(await turn('xyzdefuv'), { text: 'ija', steps: [1, 1, 1] }, 'the same again: its last token');
  assert.equal(await turn('xyzd'), { text: 'efg', steps: [1, 1, 1] }, 'back');
  assert.equal(await turn('xyDe'), { text: 'efg', steps: [2, 1, 1] }, 'another text from its third token on');
  session.sequences!.reset(sequence);
  assert.equal(await turn('xyDe'), { text: 'efg', steps: [5, 1, 1] });
  const copy = await session.fork(sequence);
  engine.steps.length = 0;
  await session.complete('xyDeefgh', { maxTokens: 1, sequence: copy });
  assert.equal(engine.steps, [2], 'a copy holds what it was made of');
  assert.ok(session.sequences!.inUse(sequence) && session.sequences!.inUse(copy), 'they stay the caller\u2019s');
});

test('a sequence whose states cannot go back runs a text again unless it extends what is held', async () => {
  const engine = languageEngine(bytes('abcdefghij'), { most: 64, window: true });
  const session = new Session(engine);
  const sequence = session.sequences!.allocate();
  const turn = async (prompt: string): Promise<number[]> => {
    engine.steps.length = 0;
    await session.complete(prompt, { maxTokens: 2, sequence });
    return [...engine.steps];
  };
  assert.equal(await turn('xyz'), [4, 1]);
  assert.equal(await turn('xyzdefuv'), [4, 1], 'd is held, and all before it');
  assert.equal(await turn('xyz'), [4, 1]);
  assert.equal(await turn('xyzdeQ'), [2, 1], 'e, and what is new');
  assert.equal(await turn('xyzdeU'), [7, 1], 'Q is in the window');
});

test('a sequence of the caller: one call at a time, and only one that is taken', async () => {
  const session = new Session(languageEngine(bytes('abcdefghij'), { most: 64 }));
  assert.is(await rejection(session.complete('x', { sequence: 0 })), 'sequence-not-in-use');
  assert.is(await rejection(session.complete('x', { sequence: 0.5 })), 'sequence-not-in-use');
  const sequence = session.sequences!.allocate();
  const first = session.generate('x', { sequence, maxTokens: 5 });
  await first.next();
  assert.is(await rejection(session.complete('y', { sequence })), 'sequence-busy');
  await first.return(undefined as never);
  assert.is((await session.complete('y', { sequence, maxTokens: 1 })).text, 'b');
  const abort = new AbortController();
  const ended = rejection(session.complete('yy', { sequence, signal: abort.signal }));
  abort.abort();
  assert.is(await ended, 'aborted');
  assert.ok(session.sequences!.inUse(sequence));
  assert.is((await session.complete('yyz', { sequence, maxTokens: 1 })).text, 'd');
});

test.run();
