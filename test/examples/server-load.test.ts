// The server of examples/server under load: turns in order, refusals, readers that are slow or go away, engines that fail.

import { once } from 'node:events';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import Fastify from 'fastify';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ApiError } from '../../examples/server/api-error.ts';
import { createApp } from '../../examples/server/app.ts';
import { sendEvents } from '../../examples/server/events.ts';
import { merge } from '../../examples/server/generations.ts';
import { Line } from '../../examples/server/line.ts';
import { serve } from '../../examples/server/served-model.ts';
import { UltramemError } from '../../src/support/errors.ts';
import { seed } from '../settings.ts';
import {
  assertError,
  complete,
  connection,
  eventsOf,
  listen,
  parrot,
  pauseOf,
  rawPost,
  readAll,
  talker,
  until,
  untilFree,
} from './served.ts';

const test = suite('server: load');

test('a line lets in so many, in order, and refuses what does not fit', async () => {
  const line = new Line(2, 2);
  const { signal } = new AbortController();
  const order: number[] = [];
  const turns = [...line.join(3, signal), ...line.join(1, signal)];
  turns.forEach((turn, i) => void turn.come.then(() => order.push(i)).catch(() => {}));
  await sleep(0);
  assert.equal([order, line.running, line.waiting], [[0, 1], 2, 2]);
  try {
    line.join(1, signal);
    assert.unreachable('there is no room');
  } catch (error) {
    assert.instance(error, ApiError);
    assert.is((error as ApiError).statusCode, 429);
    assert.ok((error as ApiError).retryAfter! >= 1);
  }
  turns[1]!.leave();
  turns[1]!.leave();
  await sleep(0);
  assert.equal([order, line.running, line.waiting], [[0, 1, 2], 2, 1]);
  turns[3]!.giveUp();
  turns[2]!.giveUp(); // runs: nothing to give up
  await turns[3]!.come.then(
    () => assert.unreachable('it was given up'),
    () => {},
  );
  assert.equal([line.running, line.waiting], [2, 0]);
  for (const turn of turns) turn.leave();
  assert.equal([line.running, line.waiting], [0, 0]);
});

test('a signal takes its turns out of the line, and no others', async () => {
  const line = new Line(1, 8);
  const mine = new AbortController();
  const [running] = line.join(1, new AbortController().signal);
  const given = line.join(2, mine.signal);
  const [other] = line.join(1, new AbortController().signal);
  mine.abort(new Error('gone'));
  for (const { come } of given) {
    assert.is(
      await come.then(
        () => 'came',
        (error: Error) => error.message,
      ),
      'gone',
    );
  }
  assert.equal([line.running, line.waiting], [1, 1]);
  running!.leave();
  await other!.come;
  assert.equal(
    await Promise.allSettled(line.join(1, mine.signal).map(({ come }) => come)).then(([one]) => one!.status),
    'rejected',
  );
  other!.leave();
  assert.equal([line.running, line.waiting], [0, 0]);
});

test('merging is one value ahead at most, and an error ends all', async () => {
  const made: string[] = [];
  const ended: string[] = [];
  const source = async function* (name: string, fails: number) {
    try {
      for (let i = 0; ; i++) {
        if (i === fails) throw new Error(`${name} fails`);
        made.push(`${name}${i}`);
        yield `${name}${i}`;
      }
    } finally {
      ended.push(name);
    }
  };
  let left = 0;
  const merged = merge([source('a', 3), source('b', -1)], () => left++);
  assert.equal((await merged.next()).value, 'a0');
  await sleep(5);
  assert.equal(made, ['a0', 'b0'], 'nobody runs ahead of the reader');
  try {
    for await (const _ of merged);
    assert.unreachable('a fails');
  } catch (error) {
    assert.is((error as Error).message, 'a fails');
  }
  assert.equal([ended.sort(), left], [['a', 'b'], 1]);
});

test('beyond the line requests are told when to come back', async () => {
  const session = talker('x', { sequences: 1, pause: pauseOf(20) });
  const served = serve(session, { maxWaiting: 1 });
  const app = createApp(served);
  const running = complete(app, { prompt: 'x', max_tokens: 5 });
  await until(() => served.line.running === 1, 'the first runs');
  const waiting = complete(app, { prompt: 'x', max_tokens: 5 });
  await until(() => served.line.waiting === 1, 'the second waits');
  const refused = await complete(app, { prompt: 'x', max_tokens: 5 });
  assert.is(refused.statusCode, 429);
  assert.ok(Number(refused.headers['retry-after']) >= 1);
  assertError(refused.json(), { code: 'rate_limit_exceeded', message: /1 generations run and 1 wait/ });
  assert.is((await running).statusCode, 200);
  assert.is((await waiting).statusCode, 200);
  assert.is((await complete(app, { prompt: 'x' })).statusCode, 200, 'there is room again');
  await untilFree(served);
});

test('many at once on few sequences: each gets its own text', async () => {
  const { app, served } = parrot('abcdefghijklmnopqrstuvwxyz', { sequences: 3 });
  const asked = Array.from({ length: 24 }, (_, i) => i);
  const answers = await Promise.all(
    asked.map((i) =>
      complete(app, { prompt: 'x'.repeat(i), max_tokens: 5, temperature: 0, stream: i % 2 === 0, echo: true }),
    ),
  );
  for (const [i, answer] of answers.entries()) {
    const text =
      i % 2 === 0
        ? eventsOf(answer.payload)
            .events.map(({ choices }) => choices[0]!.text)
            .join('')
        : answer.json().choices[0].text;
    assert.is(text, 'x'.repeat(i) + 'abcdefghijklmnopqrstuvwxyzabcdefgh'.slice(i, i + 5));
  }
  await untilFree(served);
});

test('a reader that does not read stops its own generation, and nobody else', async () => {
  const session = talker('x'.repeat(2 ** 16), { sequences: 2 });
  const served = serve(session);
  const app = createApp(served);
  const { port } = await listen(app);
  const socket = await connection(port, rawPost({ prompt: 'x', max_tokens: 2 ** 20, stream: true }));
  try {
    // Endless text at full speed, until the buffers of the connection are full.
    let before = -1;
    await until(() => session.taken > 0, 'it begins');
    for (; before !== session.taken; await sleep(300)) before = session.taken;
    assert.ok(before < 512, `${before} tokens of 64 KiB were made for nobody`);
    const rss = process.memoryUsage.rss();
    for (let i = 0; i < 20; i++) {
      const answer = await complete(app, { prompt: 'x', max_tokens: 4, stream: true });
      assert.is(eventsOf(answer.payload).events.length, 4);
    }
    await sleep(100);
    assert.is(session.taken, before + 80, 'the others went on, the slow one did not');
    assert.ok(process.memoryUsage.rss() - rss < 200 * 2 ** 20);
    assert.equal([served.line.running, served.requests.open], [1, 1]);
    // It reads again, and the generation goes on.
    socket.resume();
    await until(() => session.taken > before + 200, 'it goes on');
  } finally {
    socket.destroy();
    await untilFree(served);
    await app.close();
  }
});

test('a slow reader is ended when its time is up', async () => {
  const session = talker('x'.repeat(2 ** 16), { sequences: 1 });
  const served = serve(session, { timeout: 0.5 });
  const app = createApp(served);
  const { port } = await listen(app);
  const socket = await connection(port, rawPost({ prompt: 'x', max_tokens: 2 ** 20, stream: true }));
  await sleep(600);
  const text = await readAll(socket.resume().setTimeout(500, () => socket.destroy()));
  assert.match(text, /data: \{"error":\{"message":"the request was not answered within 0.5 s.*"code":"timeout"\}\}/);
  await untilFree(served);
  await app.close();
});

test('clients that go away at any moment leave nothing behind', async () => {
  const { app, served } = parrot('abcdefgh', { sequences: 2, maxWaiting: 4, context: 64 });
  const { port } = await listen(app);
  const moment = fc.record({
    delay: fc.nat(40),
    stream: fc.boolean(),
    n: fc.integer({ min: 1, max: 3 }),
    reset: fc.boolean(),
  });
  try {
    await fc.assert(
      fc.asyncProperty(fc.array(moment, { minLength: 1, maxLength: 6 }), async (moments) => {
        const leave = async ({ delay, stream, n, reset }: (typeof moments)[number]): Promise<void> => {
          const socket: Socket = await connection(port, rawPost({ prompt: 'xy', max_tokens: 30, stream, n }));
          if (stream) socket.resume();
          await sleep(delay);
          if (reset) socket.resetAndDestroy();
          else socket.destroy();
        };
        await Promise.all(moments.map(leave));
        await untilFree(served);
      }),
      { numRuns: 25, seed },
    );
    const { statusCode, payload } = await complete(app, { prompt: '', max_tokens: 3, temperature: 0 });
    assert.equal([statusCode, JSON.parse(payload).choices[0].text], [200, 'abc']);
  } finally {
    await app.close();
  }
});

test('a client that goes away ends its generation at once, streamed or not', async () => {
  for (const stream of [false, true]) {
    const session = talker('x', { sequences: 1, pause: pauseOf(5000) });
    const served = serve(session);
    const app = createApp(served);
    const { port } = await listen(app);
    const socket = await connection(port, rawPost({ prompt: 'x', max_tokens: 1000, stream }));
    await until(() => session.taken === 1, 'the second token is under way', 20);
    socket.destroy();
    const started = performance.now();
    await untilFree(served);
    assert.ok(performance.now() - started < 2500, 'it does not wait for the token');
    assert.is(session.taken, 1);
    await app.close();
  }
});

test('a client that goes away just before the first event is sent leaves nothing behind', async () => {
  const app = Fastify();
  let ended = false;
  app.get('/', async (_, reply) => {
    const values = async function* () {
      try {
        await once(reply.raw, 'close');
        yield 1;
        yield 2;
      } finally {
        ended = true;
      }
    };
    return sendEvents(reply, values());
  });
  const { port } = await listen(app);
  const socket = await connection(port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await sleep(50);
  socket.destroy();
  await until(() => ended, 'the generator is ended', 2);
  await app.close();
});

test('when one choice fails, those that wait do not begin', async () => {
  let failed = false;
  const fail = (): void => {
    if (failed) return;
    failed = true;
    throw new UltramemError('step-failed', 'a kernel failed');
  };
  const session = talker('x', { sequences: 1, fail });
  const served = serve(session);
  const answer = await complete(createApp(served), { prompt: 'x', max_tokens: 5, n: 8 });
  assert.is(answer.statusCode, 500);
  await untilFree(served);
  assert.ok(session.taken <= 1, `${session.taken} tokens, where the next may have begun one`);
});

test('a client that goes away while it waits gives its place to the next', async () => {
  const session = talker('x', { sequences: 1, pause: pauseOf(30) });
  const served = serve(session);
  const app = createApp(served);
  const { port } = await listen(app);
  const first = complete(app, { prompt: 'x', max_tokens: 4 });
  await until(() => served.line.running === 1, 'the first runs');
  const gone = await connection(port, rawPost({ prompt: 'x', max_tokens: 1000 }));
  await until(() => served.line.waiting === 1, 'the second waits');
  gone.destroy();
  await until(() => served.line.waiting === 0, 'nobody waits', 2);
  assert.is((await first).statusCode, 200);
  assert.is(session.taken, 4);
  await untilFree(served);
  await app.close();
});

test('engines that fail: the status before the first token, an event after it, never a stack', async () => {
  for (const [error, status, code] of [
    [new UltramemError('step-failed', 'a kernel failed'), 500, 'step-failed'],
    [new UltramemError('out-of-memory', 'no memory is left'), 503, 'out-of-memory'],
    [new UltramemError('no-free-sequence', 'all are in use'), 503, 'no-free-sequence'],
    [new TypeError('secret /path/of/the/server'), 500, 'internal_error'],
  ] as const) {
    for (const at of [0, 2]) {
      const fail = (token: number): void => {
        if (token === at) throw error;
      };
      const served = serve(talker('x', { fail }));
      const app = createApp(served);
      const whole = await complete(app, { prompt: 'x', max_tokens: 5, n: 2 });
      assert.is(whole.statusCode, status);
      assertError(whole.json(), { code });
      assert.not.match(whole.payload, /secret/);
      const streamed = await complete(app, { prompt: 'x', max_tokens: 5, stream: true });
      assert.not.match(streamed.payload, /secret/);
      if (at === 0) {
        assert.is(streamed.statusCode, status);
        assertError(streamed.json(), { code });
      } else {
        assert.is(streamed.statusCode, 200);
        const { events, done } = eventsOf(streamed.payload);
        assert.equal([events.length, done], [3, false]);
        assertError(events[2], { code });
      }
      await untilFree(served);
    }
  }
});

test('a request has so much time, waiting included', async () => {
  const served = serve(talker('x', { sequences: 1, pause: pauseOf(50) }), { timeout: 1 });
  const app = createApp(served);
  const [running, waiting] = await Promise.all([
    complete(app, { prompt: 'x', max_tokens: 1000, stream: true }),
    complete(app, { prompt: 'x', max_tokens: 1000 }),
  ]);
  const { events, done } = eventsOf(running.payload);
  assert.ok(events.length > 2 && !done);
  assertError(events.at(-1), { code: 'timeout' });
  assert.is(waiting.statusCode, 503);
  assertError(waiting.json(), { code: 'timeout' });
  await untilFree(served);
});

test.run();
