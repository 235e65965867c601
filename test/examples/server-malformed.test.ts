// The server of examples/server and requests that are wrong: each gets a status, a code and the field, none a 5xx.

import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { seed } from '../settings.ts';
import { assertError, complete, connection, listen, parrot, post, readAll, untilFree } from './served.ts';

const test = suite('server: malformed requests');
const chatUrl = '/v1/chat/completions';
const json = { 'content-type': 'application/json' };

/** Body → the code and field that it is refused with. */
const badCompletions: readonly [body: unknown, code: string, param: string | null, message?: RegExp][] = [
  [[], 'invalid_type', null],
  ['prompt', 'invalid_type', null],
  [null, 'invalid_type', null],
  [{}, 'missing_field', 'prompt', /a string, an array of strings/],
  [{ prompt: null }, 'invalid_value', 'prompt'],
  [{ prompt: 7 }, 'invalid_value', 'prompt'],
  [{ prompt: { text: 'x' } }, 'invalid_value', 'prompt'],
  [{ prompt: ['a', 7] }, 'invalid_value', 'prompt'],
  [{ prompt: [1.5] }, 'invalid_value', 'prompt'],
  [{ prompt: [-1] }, 'invalid_value', 'prompt'],
  [{ prompt: [[1], 2] }, 'invalid_value', 'prompt'],
  [{ prompt: [] }, 'prompt-empty', 'prompt'],
  [{ prompt: ['x', []] }, 'invalid_value', 'prompt'],
  [{ prompt: [257] }, 'token-out-of-range', 'prompt', /token 257 at 0 is not in the vocabulary of 257/],
  [{ prompt: [2 ** 40] }, 'token-out-of-range', 'prompt'],
  [{ prompt: 'half \ud83d a character' }, 'invalid_unicode', 'prompt', /at 5/],
  [{ prompt: 'x'.repeat(64) }, 'context_length_exceeded', 'prompt', /has 65 tokens, .* context's 64/],
  [{ prompt: 'x', max_tokens: 63 }, 'context_length_exceeded', 'max_tokens', /65 together, but the context has 64/],
  [{ prompt: 'x', max_tokens: 65 }, 'max_tokens_too_large', 'max_tokens', /at most 64/],
  [{ prompt: 'x', max_tokens: 0 }, 'invalid_value', 'max_tokens', /a whole number from 1/],
  [{ prompt: 'x', max_tokens: '5' }, 'invalid_value', 'max_tokens'],
  [{ prompt: 'x', max_tokens: 2.5 }, 'invalid_value', 'max_tokens'],
  [{ prompt: 'x', temperature: -0.1 }, 'invalid_value', 'temperature', /from 0 to 2/],
  [{ prompt: 'x', temperature: true }, 'invalid_value', 'temperature'],
  [{ prompt: 'x', top_p: 0 }, 'invalid_value', 'top_p'],
  [{ prompt: 'x', top_k: 0 }, 'invalid_value', 'top_k'],
  [{ prompt: 'x', seed: -1 }, 'invalid_value', 'seed'],
  [{ prompt: 'x', seed: 2 ** 60 }, 'invalid_value', 'seed'],
  [{ prompt: 'x', stop: '' }, 'invalid_value', 'stop', /up to four/],
  [{ prompt: 'x', stop: ['a', 'b', 'c', 'd', 'e'] }, 'invalid_value', 'stop'],
  [{ prompt: 'x', stop: [7] }, 'invalid_value', 'stop'],
  [{ prompt: 'x', stop: ['\udc00'] }, 'invalid_unicode', 'stop'],
  [{ prompt: 'x', stream: 'yes' }, 'invalid_value', 'stream'],
  [{ prompt: 'x', echo: 1 }, 'invalid_value', 'echo'],
  [{ prompt: 'x', stream_options: { include_usage: true } }, 'invalid_value', 'stream_options'],
  [
    { prompt: 'x', stream: true, stream_options: { include_usage: 1 } },
    'invalid_value',
    'stream_options.include_usage',
  ],
  [{ prompt: 'x', n: 0 }, 'invalid_value', 'n'],
  [{ prompt: 'x', n: 17 }, 'too_many_choices', 'n', /at most 16/],
  [{ prompt: new Array(17).fill('x') }, 'too_many_choices', 'prompt'],
  [{ prompt: 'x', model: 7 }, 'invalid_value', 'model'],
  [{ prompt: 'x', logprobs: 0 }, 'unsupported_parameter', 'logprobs'],
  [{ prompt: 'x', best_of: 2 }, 'unsupported_parameter', 'best_of'],
  [{ prompt: 'x', suffix: 'y' }, 'unsupported_parameter', 'suffix'],
  [{ prompt: 'x', logit_bias: { 5: 1 } }, 'unsupported_parameter', 'logit_bias'],
  [{ prompt: 'x', presence_penalty: 0.5 }, 'unsupported_parameter', 'presence_penalty'],
];

const user = { role: 'user', content: 'x' };
const badChats: readonly [body: unknown, code: string, param: string | null, message?: RegExp][] = [
  [{}, 'missing_field', 'messages'],
  [{ messages: 'x' }, 'invalid_value', 'messages'],
  [{ messages: [] }, 'invalid_value', 'messages'],
  [{ messages: ['x'] }, 'invalid_value', 'messages[0]', /a message/],
  [{ messages: [user, { role: 'tool', content: 'x' }] }, 'invalid_value', 'messages[1].role', /"user" or "assistant"/],
  [{ messages: [{ role: 'user' }] }, 'missing_field', 'messages[0].content'],
  [{ messages: [{ role: 'user', content: null }] }, 'invalid_value', 'messages[0].content'],
  [
    { messages: [{ role: 'user', content: [{ type: 'image_url', image_url: {} }] }] },
    ...(['invalid_value', 'messages[0].content', /nothing but text/] as const),
  ],
  [{ messages: [{ role: 'user', content: '\ud800' }] }, 'invalid_unicode', 'messages'],
  [{ messages: [user], max_tokens: 4, max_completion_tokens: 5 }, 'invalid_value', 'max_tokens'],
  [{ messages: [user], tools: [{ type: 'function' }] }, 'unsupported_parameter', 'tools'],
  [{ messages: [user], response_format: { type: 'json_object' } }, 'unsupported_parameter', 'response_format'],
  [{ messages: [user], logprobs: true }, 'unsupported_parameter', 'logprobs'],
  [{ messages: [{ role: 'user', content: 'x'.repeat(64) }] }, 'context_length_exceeded', 'messages'],
];

for (const [url, table] of [
  ['/v1/completions', badCompletions],
  [chatUrl, badChats],
] as const) {
  test(`${url}: every fault is named`, async () => {
    const { app, served } = parrot('abc');
    for (const [body, code, param, message] of table) {
      const answer = await post(app, url, body);
      const name = JSON.stringify(body).slice(0, 100);
      assert.is(answer.statusCode, 400, `${name}: ${answer.payload}`);
      assertError(answer.json(), { code, param, ...(message && { message }) });
    }
    await untilFree(served);
  });
}

test('fields that ask for nothing are heeded, unknown ones ignored', async () => {
  const { app } = parrot('abc');
  const harmless = {
    ...{ logprobs: null, best_of: 1, suffix: null, logit_bias: {}, presence_penalty: 0, frequency_penalty: 0.0 },
    ...{ user: 'me', metadata: { a: 1 }, service_tier: 'auto', stop: null, n: null, stream: null, model: null },
  };
  const answer = await complete(app, { prompt: '', max_tokens: 3, temperature: 0, ...harmless });
  assert.is(answer.statusCode, 200, answer.payload);
  const chat = { tools: [], tool_choice: 'none', response_format: { type: 'text' }, logprobs: false, top_logprobs: 0 };
  const said = await post(app, chatUrl, { messages: [user], max_tokens: 3, ...chat });
  assert.is(said.statusCode, 200, said.payload);
});

test('another model is not found', async () => {
  const { app } = parrot('abc');
  const answer = await complete(app, { model: 'gpt-4', prompt: 'x' });
  assert.is(answer.statusCode, 404);
  assertError(answer.json(), { code: 'model_not_found', param: 'model' });
});

test('bodies that are no JSON, and other things than bodies', async () => {
  const { app } = parrot('abc', { bodyLimit: 4096 });
  const deep = '['.repeat(2000);
  const cases: readonly [name: string, status: number, code: string, request: object][] = [
    ['cut', 400, 'invalid_json', { headers: json, payload: '{"prompt": "x"' }],
    ['empty', 400, 'invalid_json', { headers: json, payload: '' }],
    ['deep', 400, 'invalid_json', { headers: json, payload: deep }],
    ['not UTF-8', 400, 'invalid_json', { headers: json, payload: Buffer.from('{"prompt": "\xff"}', 'latin1') }],
    ['prototype', 400, 'invalid_json', { headers: json, payload: '{"prompt": "x", "__proto__": {"n": 2}}' }],
    ['no type', 415, 'unsupported_media_type', { payload: Buffer.from('{"prompt": "x"}') }],
    ['text', 415, 'unsupported_media_type', { headers: { 'content-type': 'text/plain' }, payload: '{"prompt": "x"}' }],
    ['form', 415, 'unsupported_media_type', { headers: { 'content-type': 'multipart/form-data' }, payload: 'x' }],
    ['large', 413, 'body_too_large', { headers: json, payload: JSON.stringify({ prompt: 'x'.repeat(5000) }) }],
    ['no body', 400, 'invalid_type', {}],
  ];
  for (const [name, status, code, request] of cases) {
    const answer = await app.inject({ method: 'POST', url: '/v1/completions', ...request });
    assert.is(answer.statusCode, status, `${name}: ${answer.payload}`);
    assertError(answer.json(), { code });
  }
  const nested = await complete(app, { prompt: 'x', metadata: JSON.parse(deep + ']'.repeat(2000)), max_tokens: 1 });
  assert.is(nested.statusCode, 200, 'a field that is ignored may be anything');
});

test('unknown routes and methods', async () => {
  const { app } = parrot('abc');
  for (const [method, url] of [
    ['GET', '/'],
    ['GET', '/v1/completions'],
    ['POST', '/v1/embeddings'],
    ['DELETE', '/v1/models/parrot'],
    ['GET', '/v1/models/../../etc/passwd'],
    ['GET', '/v1/models/%2e%2e%2fetc%2fpasswd'],
  ] as const) {
    const answer = await app.inject({ method, url, ...(method === 'POST' && { headers: json, payload: '{}' }) });
    assert.is(answer.statusCode, 404, `${method} ${url}`);
    assertError(answer.json());
  }
  const answer = await app.inject('/v1/models/%zz');
  assert.is(answer.statusCode, 400, answer.payload);
  assertError(answer.json(), { code: 'invalid_url' });
});

test('what is no HTTP, heads that are too large, and requests that do not arrive', async () => {
  const { app } = parrot('abc', { headTimeout: 0.2, bodyTimeout: 0.4 });
  const { port } = await listen(app);
  try {
    const body = '{"prompt":';
    const post = `POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n`;
    const cases: readonly [text: string, status: number, code: string][] = [
      ['nonsense\r\n\r\n', 400, 'invalid_http'],
      [`GET /health HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`, 431, 'headers_too_large'],
      [`GET /${'x'.repeat(20_000)} HTTP/1.1\r\nHost: a\r\n\r\n`, 431, 'headers_too_large'],
      ['GET /health HTTP/1.1\r\nHost: a\r\n', 408, 'request_timeout'],
      [`${post}Content-Length: 100\r\n\r\n${body}`, 408, 'request_timeout'],
      [`${post}Content-Length: 99999999\r\nConnection: close\r\n\r\n${body}`, 413, 'body_too_large'],
    ];
    for (const [text, status, code] of cases) {
      const answer = await readAll(await connection(port, text));
      assert.match(answer, new RegExp(`^HTTP/1.1 ${status} `), `${text.slice(0, 60)}: ${answer.slice(0, 200)}`);
      assertError(JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4)), { code });
    }
    assert.is((await app.inject('/health')).statusCode, 200);
  } finally {
    await app.close();
  }
});

test('any body at all: an answer or an error as clients know them, never a 5xx', async () => {
  const { app, served } = parrot('abcdef', { maxTokens: 4 });
  const odd = fc.oneof(
    fc.constantFrom(null, true, 0, -1, 1, 2, 1.5, 1e300, '', 'x', '\ud800', [], [0], ['x'], [[1]], {}, { a: 1 }),
    fc.jsonValue({ maxDepth: 3 }) as fc.Arbitrary<unknown>,
  );
  const field = (right: fc.Arbitrary<unknown>) =>
    fc.oneof({ weight: 30, arbitrary: right }, { weight: 1, arbitrary: odd });
  const text = fc.string({ unit: 'binary', maxLength: 20 });
  const content = fc.oneof(text, fc.array(fc.record({ type: fc.constant('text'), text }), { maxLength: 2 }));
  const message = fc.record({ role: field(fc.constantFrom('user', 'system', 'assistant')), content: field(content) });
  const rare = fc.oneof({ weight: 30, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: odd });
  const likely = fc.record(
    {
      prompt: field(
        fc.oneof(text, fc.array(text, { maxLength: 3 }), fc.array(fc.nat(258), { minLength: 1, maxLength: 5 })),
      ),
      messages: field(fc.array(field(message), { minLength: 1, maxLength: 3 })),
      model: field(fc.constant('parrot')),
      n: field(fc.integer({ min: 1, max: 3 })),
      max_tokens: field(fc.integer({ min: 1, max: 5 })),
      temperature: field(fc.double({ min: 0, max: 2, noNaN: true })),
      top_p: field(fc.double({ min: 0, max: 1, noNaN: true })),
      top_k: field(fc.integer({ min: 1, max: 300 })),
      seed: field(fc.maxSafeNat()),
      stop: field(fc.oneof(fc.constantFrom('a', 'bc'), fc.array(text, { maxLength: 5 }))),
      stream: field(fc.boolean()),
      stream_options: field(fc.record({ include_usage: fc.boolean() })),
      echo: field(fc.boolean()),
      logprobs: rare,
      best_of: rare,
      logit_bias: rare,
      tools: rare,
      response_format: rare,
    },
    { requiredKeys: ['prompt', 'messages'] },
  );
  const cut = fc.tuple(likely, fc.nat(1000)).map(([value, at]) => JSON.stringify(value).slice(0, at));
  const body = fc.oneof(
    { weight: 8, arbitrary: likely.map((value) => JSON.stringify(value)) },
    { weight: 1, arbitrary: odd.map((value) => JSON.stringify(value)) },
    { weight: 1, arbitrary: cut },
    { weight: 1, arbitrary: fc.string({ unit: 'binary' }) },
  );
  const statuses = new Map<number, number>();
  await fc.assert(
    fc.asyncProperty(fc.constantFrom('/v1/completions', chatUrl), body, async (url, payload) => {
      const answer = await app.inject({ method: 'POST', url, headers: json, payload });
      const { statusCode } = answer;
      statuses.set(statusCode, (statuses.get(statusCode) ?? 0) + 1);
      assert.ok(statusCode < 500, answer.payload);
      if (statusCode >= 400) return assertError(answer.json());
      if (answer.headers['content-type']?.toString().startsWith('text/event-stream')) {
        assert.ok(answer.payload.endsWith('data: [DONE]\n\n'), answer.payload);
      } else {
        const { choices, usage } = answer.json();
        assert.ok(choices.length >= 1 && usage.completion_tokens >= choices.length);
      }
    }),
    { numRuns: 500, seed },
  );
  for (const [status, least] of [
    [200, 50],
    [400, 50],
    [404, 1],
  ] as const) {
    assert.ok((statuses.get(status) ?? 0) >= least, `${statuses.get(status)} answers are ${status}`);
  }
  await untilFree(served);
});

test.run();
