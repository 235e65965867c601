// The loop of `generate` on a terminal, driven through streams: how the text grows, what commands do, how keys stop and end it.

import { PassThrough } from 'node:stream';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Conversation, converse } from '../../src/cli/converse.ts';
import { type FittedText, fitContext } from '../../src/cli/fit-context.ts';
import { chooseTokenizer, type GenerateOptions, Session } from '../../src/runtime/index.ts';
import { languageEngine } from '../runtime/language-engine.ts';

const test = suite('converse');

interface Talk {
  /** What a person types. */
  type(keys: string): void;
  /** Resolves once this was written behind what was waited for before. */
  sees(text: string): Promise<void>;
  /** All that was written. */
  readonly written: () => string;
  /** What the session was asked for. */
  readonly asked: { prompt: string; options: GenerateOptions }[];
  /** Token counts of the steps. */
  readonly steps: readonly number[];
  readonly ended: Promise<void>;
  readonly interrupt: AbortController;
}

/** A model that says `say[position]`, whatever it reads. */
function talk(
  say: string,
  options: { keys?: boolean; context?: number; settings?: Conversation['settings'] } = {},
): Talk {
  const { keys = false, context = 64, settings = { maxTokens: 3 } } = options;
  const [input, output] = [new PassThrough(), new PassThrough()];
  const engine = languageEngine(new TextEncoder().encode(say), { context });
  const session = new Session(engine);
  const tokenizer = chooseTokenizer(session.model, undefined)!;
  const interrupt = new AbortController();
  const asked: Talk['asked'] = [];
  let written = '';
  let at = 0;
  output.setEncoding('utf8').on('data', (text: string) => (written += text));
  const ended = converse({
    session: {
      model: session.model,
      sequences: session.sequences,
      generate(prompt, given = {}) {
        asked.push({ prompt: tokenizer.decode(prompt as Int32Array), options: given });
        return session.generate(prompt, given);
      },
    },
    heading: 'parrot on paper',
    tokenizer,
    ...{ settings, input, output, keys },
    signal: interrupt.signal,
  });
  return {
    type: (text) => void input.write(text),
    async sees(text) {
      const until = Date.now() + 60_000;
      while (!written.includes(text, at)) {
        assert.ok(Date.now() < until, `${JSON.stringify(text)} is not in ${JSON.stringify(written.slice(at))}`);
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
      at = written.indexOf(text, at) + text.length;
    },
    written: () => written,
    ...{ asked, steps: engine.steps, ended, interrupt },
  };
}

/** All lines at once, to the end. */
async function say(
  lines: readonly string[],
  text = 'abcdefghij',
  options: Parameters<typeof talk>[1] = {},
): Promise<Talk> {
  const all = talk(text, options);
  all.type([...lines, '/quit', ''].join('\n'));
  await all.ended;
  return all;
}

const prompts = ({ asked }: Talk): string[] => asked.map(({ prompt }) => prompt);

test('every line is added to the text, and the model goes on from all of it', async () => {
  const all = await say(['x', 'y', ' z', '', '//w', '/text']);
  assert.equal(prompts(all), ['x', 'xbcd\ny', 'xbcd\nyghi z', 'xbcd\nyghi zbcd', 'xbcd\nyghi zbcdefg\n/w']);
  assert.match(all.written(), /^parrot on paper, 63 of 64 tokens left\. Type how a text begins; \/help says/);
  assert.match(all.written(), '> y\nghi\n3 tokens (length), prompt of 7 in ');
  assert.match(all.written(), /tokens per second, 54 of 64 tokens left\n> {2}z\n/);
  assert.match(all.written(), '> /text\nxbcd\nyghi zbcdefg\n/wabc\n> /quit\n');
  assert.equal(all.asked[0]!.options.maxTokens, 3);
  assert.equal(
    all.steps,
    [2, 1, 1, 3, 1, 1, 3, 1, 1, 1, 1, 1, 4, 1, 1],
    'a turn runs the token chosen last and what is new',
  );
});

test('/again takes the last continuation back, /reset everything', async () => {
  const all = await say(['/again', 'x', '/again', '', '/reset', '/again', 'y']);
  assert.equal(prompts(all), ['x', 'x', 'xbcd', 'y']);
  assert.is(all.written().split('There is no continuation yet.').length, 3);
  assert.match(all.written(), 'The most probable token is always taken: /set temperature 0.8 draws others.');
  assert.match(all.written(), 'Forgotten, 63 of 64 tokens left.');
});

test('each /again of a seed has a seed of its own, so that a run repeats', async () => {
  const { asked } = await say(['x', '/again', '/again', 'y'], 'abc', {
    settings: { maxTokens: 1, temperature: 1, seed: 5 },
  });
  assert.equal(
    asked.map(({ options }) => options.seed),
    [5, 6, 7, 5],
  );
});

test('/set changes options and puts them back, and says what it does not take', async () => {
  const all = await say([
    ...['/set top-k 4', '/set temperature 0.8', '/set --max-tokens 2', '/set stop \\n', 'x'],
    ...['/set top-k', '/set max-tokens', '/set temprature 1', '/set temperature hot', 'y', '/set'],
  ]);
  const settings = all.asked.map(({ options: { tokenizer: _, signal: __, sequence: ___, ...rest } }) => rest);
  assert.equal(settings, [
    { maxTokens: 2, temperature: 0.8, topK: 4, stop: ['\n'] },
    { maxTokens: 64, temperature: 0.8, stop: ['\n'] },
  ]);
  assert.match(all.written(), 'Tokens are drawn only once there is a temperature.');
  assert.match(all.written(), 'There is no option temprature. Did you mean "temperature"?');
  assert.match(all.written(), 'Wanted a number from 0 to 100.');
  assert.match(all.written(), /temperature +0\.8 +draw tokens, logits divided by t/);
});

test('commands that there are not, and faults of a generation, end nothing', async () => {
  const all = await say([
    '/agian',
    'x',
    '/set top-p 0',
    '/set temperature 1',
    'y',
    '/set top-p',
    'z',
    '/stats',
    '/help',
  ]);
  assert.match(all.written(), 'There is no /agian. Did you mean "/again"? /help says what there is.');
  assert.match(all.written(), 'topP is 0; it must be above 0 and at most 1');
  assert.equal(prompts(all).at(-1), 'xbcd\nz', 'what was refused is no part of the text');
  assert.match(all.written(), '6 tokens in 2 continuations');
  for (const name of ['/again', '/reset', '/set', '/stats', '/text', '/help', '/quit'])
    assert.match(all.written(), `${name} `);
});

test('a full context loses its oldest words, and the loop says which', async () => {
  const all = await say(['one two three', ' four five six seven', ' eight'], 'abc', {
    context: 32,
    settings: { maxTokens: 8 },
  });
  assert.match(all.written(), /The context of 32 tokens is full: "one two .*" is forgotten\. \/reset forgets all\./);
  for (const prompt of prompts(all)) assert.ok(prompt.length <= 32 - 8, prompt);
  assert.match(prompts(all)[2]!, / eight$/);
});

test('what is kept of a text is its end, from a word on where one is near', () => {
  const fit = (text: string, most: number): Partial<FittedText> => {
    const { ids, ...fitted } = fitContext(text, most, (rest) => Int32Array.of(0, ...[...rest].map(() => 1)));
    assert.is(ids.length, [...fitted.text].length + 1);
    return fitted;
  };
  assert.equal(fit('short', 6), { text: 'short', dropped: '' });
  assert.equal(fit('several words of text', 14), { text: 'words of text', dropped: 'several ' });
  assert.is(fit('x'.repeat(100), 11).text, 'x'.repeat(10));
  const faces = fit(`a${'😀'.repeat(50)}`, 11);
  assert.is(faces.dropped! + faces.text!, `a${'😀'.repeat(50)}`);
  assert.match(faces.text!, /^(😀)+$/u);
  assert.equal(fit('any', 0), { text: '', dropped: 'any' });
});

test('Ctrl-C stops the model, keeps what it wrote, and the loop goes on', async () => {
  const all = talk('abcdefgh', { keys: true, context: 4096, settings: { maxTokens: 2048 } });
  await all.sees('> ');
  all.type('x\r');
  await all.sees('bcdefgha');
  all.type('\x03');
  await all.sees('tokens (stopped)');
  await all.sees('> ');
  all.type('/text\r');
  await all.sees('xbcdefgha');
  await all.sees('> ');
  all.type('\x04');
  await all.ended;
  assert.is(all.asked.length, 1);
});

test('at the prompt Ctrl-C clears a line, and ends the loop when it comes twice', async () => {
  const all = talk('abc', { keys: true });
  await all.sees('> ');
  all.type('never sent\x03');
  all.type('\x03');
  await all.sees('(Ctrl-C again, or Ctrl-D, ends)');
  all.type('x\r');
  await all.sees('tokens (length)');
  await all.sees('> ');
  all.type('\x03');
  await all.sees('ends)');
  all.type('\x03');
  await all.ended;
  assert.equal(prompts(all), ['x']);
});

test('what is typed while the model writes is not mixed into its text, and comes next', async () => {
  const all = talk('abcdefgh', { keys: true, context: 4096, settings: { maxTokens: 30 } });
  await all.sees('> ');
  all.type('x\r');
  await all.sees('bc');
  all.type('y\r/text\r/re');
  await all.sees('tokens (length)');
  await all.sees('> y\n');
  await all.sees('tokens (length)');
  await all.sees('> /text\nx');
  await all.sees('> /re');
  all.type('set\r');
  await all.sees('Forgotten');
  all.type('\x04');
  await all.ended;
  assert.match(all.written(), `x\r\n${'bcdefgha'.repeat(4).slice(0, 30)}\n`);
  assert.is(all.asked.length, 2);
});

test('the arrow brings earlier lines back', async () => {
  const all = talk('abc', { keys: true });
  await all.sees('> ');
  all.type('first\r');
  await all.sees('left');
  await all.sees('> ');
  all.type('\x1b[A again\r');
  await all.sees('left');
  all.type('\x04');
  await all.ended;
  assert.equal(prompts(all), ['first', 'firstcab\nfirst again']);
});

test('the end of the input, and an interrupt from outside, end it in the middle of a line', async () => {
  const all = talk('abcdefgh', { keys: true, context: 4096, settings: { maxTokens: 2048 } });
  await all.sees('> ');
  all.type('x\r');
  await all.sees('bcd');
  all.interrupt.abort();
  await all.ended;
  assert.match(all.written(), 'tokens (stopped)');
});

test.run();
