// The server of examples/server: completions and chat completions, whole and streamed, and what is said of the model.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { chatPrompt } from '../../examples/server/chat.ts';
import { complete, eventsOf, parrot, post } from './served.ts';

const test = suite('server: completions');
const text = 'abcdefghijklmnopqrstuvwxyz';
const chatUrl = '/v1/chat/completions';

test('a whole completion, with what it took', async () => {
  const { app, served } = parrot(text);
  const answer = await complete(app, {
    model: 'parrot',
    prompt: 'xyz',
    max_tokens: 5,
    temperature: 0,
    user: 'someone',
  });
  assert.is(answer.statusCode, 200);
  const { id, created, ...rest } = answer.json();
  assert.match(id, /^cmpl-[0-9a-f-]{36}$/);
  assert.ok(Math.abs(created - Date.now() / 1000) < 10);
  assert.equal(rest, {
    model: 'parrot',
    object: 'text_completion',
    choices: [{ index: 0, text: 'defgh', logprobs: null, finish_reason: 'length' }],
    usage: { prompt_tokens: 4, completion_tokens: 5, total_tokens: 9 }, // a begin token stands before the text
  });
  assert.is(answer.headers['x-request-id']?.toString().length, 36);
  assert.is(served.sequences.inUse(0), false);
});

test('the same streamed: pieces that make the text, usage where it is asked for', async () => {
  const { app } = parrot('aé€😀');
  const body = { prompt: '', max_tokens: 10, temperature: 0, stream: true };
  const plain = await complete(app, body);
  assert.is(plain.statusCode, 200);
  assert.match(plain.headers['content-type'] as string, /^text\/event-stream/);
  const { events, done } = eventsOf(plain.payload);
  assert.ok(done);
  assert.equal(
    events.map(({ choices }) => choices[0]!.text),
    ['a', 'é', '€', '😀'],
    'no event is empty',
  );
  assert.equal(
    events.map(({ choices }) => choices[0]!.finish_reason),
    [null, null, null, 'length'],
  );
  assert.is(new Set(events.map(({ id }) => id)).size, 1);
  assert.ok(events.every((event) => event.object === 'text_completion' && !('usage' in event)));

  const counted = eventsOf((await complete(app, { ...body, stream_options: { include_usage: true } })).payload);
  const usages = counted.events.map(({ usage }) => usage);
  assert.equal(usages.slice(0, -1), [null, null, null, null]);
  assert.equal(usages.at(-1), { prompt_tokens: 1, completion_tokens: 10, total_tokens: 11 });
  assert.equal(counted.events.at(-1)!.choices, []);
});

test('prompts of text, of ids, and several of either; n choices of each', async () => {
  const { app } = parrot(text);
  const choicesOf = async (body: object) => {
    const answer = await complete(app, { max_tokens: 3, temperature: 0, ...body });
    assert.is(answer.statusCode, 200, answer.payload);
    const { choices, usage } = answer.json() as {
      choices: { index: number; text: string }[];
      usage: { prompt_tokens: number; completion_tokens: number };
    };
    assert.equal(
      choices.map(({ index }) => index),
      choices.map((_, i) => i),
    );
    return [choices.map((choice) => choice.text), usage.prompt_tokens, usage.completion_tokens];
  };
  assert.equal(await choicesOf({ prompt: [97, 98] }), [['bcd'], 2, 3]);
  assert.equal(await choicesOf({ prompt: ['', 'xx', 'yyyyyy'] }), [['abc', 'cde', 'ghi'], 11, 9]);
  assert.equal(await choicesOf({ prompt: [[97], [97, 98, 99]] }), [['abc', 'cde'], 4, 6]);
  assert.equal(await choicesOf({ prompt: ['', 'x'], n: 2 }), [['abc', 'abc', 'bcd', 'bcd'], 3, 12]);
  assert.equal(await choicesOf({ prompt: 'x', echo: true }), [['xbcd'], 2, 3]);
  assert.equal(await choicesOf({ prompt: [256, 104, 105], echo: true }), [['hicde'], 3, 3]);
  assert.equal(await choicesOf({ prompt: '', max_tokens: null }), [[text.slice(0, 16)], 1, 16]);
});

test('choices of a stream come side by side, each whole', async () => {
  const { app } = parrot(text, { sequences: 2 });
  const { payload } = await complete(app, {
    ...{ prompt: ['', 'xxxx', 'yy'], max_tokens: 6, temperature: 0, stream: true, echo: true },
  });
  const { events, done } = eventsOf(payload);
  assert.ok(done);
  const texts = ['', '', ''];
  const ends: (string | null)[] = [null, null, null];
  for (const { choices } of events) {
    const [{ index, text, finish_reason }] = choices as [{ index: number; text: string; finish_reason: string | null }];
    assert.is(ends[index], null, 'nothing comes after the end of a choice');
    texts[index] += text;
    ends[index] = finish_reason;
  }
  assert.equal(texts, ['abcdef', 'xxxxefghij', 'yycdefgh']);
  assert.equal(ends, ['length', 'length', 'length']);
  // Two run at once, so pieces of the first two alternate.
  const order = events.map(({ choices }) => choices[0]!.index);
  assert.ok(order.indexOf(1) < order.lastIndexOf(0), order.join());
});

test('stop strings, and a context that is full', async () => {
  const { app } = parrot(text, { context: 12 });
  const one = (await complete(app, { prompt: '', max_tokens: 10, temperature: 0, stop: 'ef' })).json();
  assert.equal([one.choices[0].text, one.choices[0].finish_reason], ['abcd', 'stop']);
  const several = (await complete(app, { prompt: '', max_tokens: 10, temperature: 0, stop: ['zz', 'c'] })).json();
  assert.equal([several.choices[0].text, several.choices[0].finish_reason], ['ab', 'stop']);
  // 16 by default, where there is room for them.
  const all = (await complete(app, { prompt: '', temperature: 0 })).json();
  assert.equal([all.choices[0].text, all.choices[0].finish_reason], [text.slice(0, 11), 'length']);
});

test('a seed gives the same text, its choices differ', async () => {
  const { app } = parrot(text, { context: 64 });
  const ask = async (seed: number) => {
    const { choices } = (await complete(app, { prompt: '', max_tokens: 12, temperature: 2, seed, n: 2 })).json();
    return choices.map((choice: { text: string }) => choice.text) as string[];
  };
  const [first, again, other] = [await ask(7), await ask(7), await ask(8)];
  assert.equal(first, again);
  assert.not.equal(first[0], first[1]);
  assert.not.equal(first, other);
});

test('chat: messages by the template, the answer without the space before it', async () => {
  const messages = [
    { role: 'system', content: 'Be brief.' },
    {
      role: 'user',
      content: [
        { type: 'text', text: 'Who ' },
        { type: 'text', text: 'is there?' },
      ],
    },
  ] as const;
  const prompt = 'System: Be brief.\nUser: Who is there?\nAssistant:';
  assert.is(chatPrompt(messages), prompt);
  // What follows that prompt begins with a space, and ends where another turn begins.
  const say = `${'.'.repeat(prompt.length)} Nobody.\nUser: Why?`;
  const { app } = parrot(say, { context: 128 });
  const answer = (await post(app, chatUrl, { model: 'parrot', messages, temperature: 0 })).json();
  assert.match(answer.id, /^chatcmpl-/);
  assert.is(answer.object, 'chat.completion');
  assert.equal(answer.choices, [
    {
      index: 0,
      message: { role: 'assistant', content: 'Nobody.', refusal: null },
      logprobs: null,
      finish_reason: 'stop',
    },
  ]);
  assert.is(answer.usage.prompt_tokens, prompt.length + 1);

  const body = { messages, temperature: 0, max_completion_tokens: 4, stream: true };
  const { events, done } = eventsOf((await post(app, chatUrl, body)).payload);
  assert.ok(done);
  assert.ok(events.every((event) => event.object === 'chat.completion.chunk'));
  assert.equal(
    events.map(({ choices: [choice] }) => [choice!.delta, choice!.finish_reason]),
    [
      [{ role: 'assistant', content: '' }, null],
      [{ content: 'N' }, null],
      [{ content: 'o' }, null],
      [{ content: 'b' }, null],
      [{}, 'length'],
    ],
  );
});

test('models, health and metrics', async () => {
  const { app, served } = parrot(text, { id: 'my-model' });
  const { data } = (await app.inject('/v1/models')).json();
  assert.equal(data, [{ id: 'my-model', object: 'model', created: served.created, owned_by: 'ultramem' }]);
  assert.equal((await app.inject('/v1/models/my-model')).json(), data[0]);
  assert.is((await app.inject('/v1/models/parrot')).statusCode, 404);
  assert.equal((await app.inject('/health')).json(), {
    status: 'ready',
    model: 'my-model',
    requests: 0,
    sequences: { in_use: 0, total: 2 },
    waiting: { now: 0, most: 64 },
  });
  await complete(app, { prompt: '', max_tokens: 3 });
  const { payload } = await app.inject('/metrics');
  assert.match(payload, /^ultramem_answers_total\{status="200"\} 4$/m);
  assert.match(payload, /^ultramem_answers_total\{status="404"\} 1$/m);
  assert.match(payload, /^ultramem_generated_tokens_total 3$/m);
  assert.match(payload, /^ultramem_sequences_in_use 0$/m);
});

test('no answer invites pages of other origins', async () => {
  const { app } = parrot(text);
  const headers = { origin: 'https://example.com', 'access-control-request-method': 'POST' };
  for (const method of ['OPTIONS', 'POST'] as const) {
    const answer = await app.inject({ method, url: '/v1/completions', headers });
    assert.is(answer.headers['access-control-allow-origin'], undefined);
    assert.ok(answer.statusCode >= 400);
  }
});

test.run();
