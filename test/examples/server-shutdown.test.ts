// The server of examples/server at its end: what runs may finish, what comes is refused, what does not finish is told so.

import { setTimeout as sleep } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createApp } from '../../examples/server/app.ts';
import { serve } from '../../examples/server/served-model.ts';
import { drain } from '../../examples/server/shutdown.ts';
import {
  assertError,
  connection,
  eventsOf,
  listen,
  pauseOf,
  rawPost,
  readAll,
  talker,
  until,
  untilFree,
} from './served.ts';

const test = suite('server: shutdown');

const open = async (milliseconds: number, text = 'x') => {
  const session = talker(text, { sequences: 1, pause: pauseOf(milliseconds) });
  const served = serve(session);
  const app = createApp(served);
  const { url, port } = await listen(app);
  const ask = (body: object): Promise<Response> =>
    fetch(`${url}/v1/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ prompt: 'x', ...body }),
    });
  return { session, served, app, url, port, ask };
};

/** Whether anybody listens there. */
const listens = (url: string): Promise<boolean> =>
  fetch(`${url}/health`).then(
    () => true,
    () => false,
  );

test('requests that run or wait finish, others are refused, and health says so', async () => {
  const { served, app, url, ask } = await open(20);
  const running = ask({ max_tokens: 10, stream: true });
  const waiting = ask({ max_tokens: 10 });
  await until(() => served.line.waiting === 1, 'one runs and one waits');
  const drained = drain(app, served.requests, 10);
  const health = await fetch(`${url}/health`);
  assert.is(health.status, 503);
  assert.is(((await health.json()) as { status: string }).status, 'draining');
  assert.is(health.headers.get('connection'), 'close');
  const late = await ask({ max_tokens: 1 });
  assert.is(late.status, 503);
  assert.ok(Number(late.headers.get('retry-after')) >= 1);
  assertError(await late.json(), { code: 'shutting_down' });
  const { events, done } = eventsOf(await (await running).text());
  assert.equal([events.length, done], [10, true]);
  const { usage } = (await (await waiting).json()) as { usage: { completion_tokens: number } };
  assert.is(usage.completion_tokens, 10);
  const started = performance.now();
  await drained;
  assert.ok(performance.now() - started < 5000, 'it does not wait for what is over');
  assert.is(await listens(url), false);
  await untilFree(served);
});

test('after the grace a stream ends with an error event, a whole answer with its status', async () => {
  const { served, app, url, ask } = await open(20);
  const running = ask({ max_tokens: 10_000, stream: true });
  const waiting = ask({ max_tokens: 10_000 });
  await until(() => served.line.waiting === 1, 'one runs and one waits');
  const response = await running;
  const started = performance.now();
  const drained = drain(app, served.requests, 0.3);
  const { events, done } = eventsOf(await response.text());
  assert.ok(performance.now() - started >= 290);
  assert.ok(events.length > 5 && !done);
  assertError(events.at(-1), { code: 'shutting_down' });
  assert.is((await waiting).status, 503);
  assertError(await (await waiting).json(), { code: 'shutting_down' });
  await drained;
  assert.ok(performance.now() - started < 6000);
  assert.is(await listens(url), false);
  await untilFree(served);
});

test('a client that does not read, or is in the middle of a request, holds up nothing', async () => {
  const { session, served, app, port } = await open(0, 'x'.repeat(2 ** 16));
  const deaf = await connection(port, rawPost({ prompt: 'x', max_tokens: 2 ** 20, stream: true }));
  const slow = await connection(port, 'GET /health HTTP/1.1\r\nHost: a\r\n');
  for (let before = -1; before !== session.taken || before === 0; await sleep(200)) before = session.taken;
  const started = performance.now();
  await drain(app, served.requests, 0.1);
  assert.ok(performance.now() - started < 8000, `it took ${performance.now() - started} ms`);
  await untilFree(served);
  await readAll(deaf.resume());
  await readAll(slow.resume());
});

test('with nothing to do it ends at once', async () => {
  const { served, app, url } = await open(0);
  assert.ok(await listens(url)); // and leaves its connection open for more
  const started = performance.now();
  await drain(app, served.requests, 60);
  assert.ok(performance.now() - started < 5000);
  assert.is(await listens(url), false);
});

test.run();
