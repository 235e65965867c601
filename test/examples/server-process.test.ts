// examples/server as a process: compiles examples/bytes-lm, serves it over HTTP, ends on a signal.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { readEvents } from '../../examples/server/read-events.ts';
import '../build-folder.ts';
import { root } from '../cli/run-command.ts';
import { assertError } from './served.ts';

const test = suite('server: process');
const main = ['--import', 'tsx', 'examples/server/main.ts'];
const model = ['--model', 'examples/bytes-lm/model.ts', '--weights', 'examples/bytes-lm/ultramem-bytes.safetensors'];

const { prompts } = JSON.parse(readFileSync(join(root, 'examples/bytes-lm/prompts.json'), 'utf8')) as {
  prompts: readonly { prompt: string; greedy: string }[];
};

interface Server {
  readonly child: ChildProcess;
  readonly url: string;
  output(): string;
  ended(): Promise<number | null>;
}

async function start(...args: string[]): Promise<Server> {
  const child = spawn(process.execPath, [...main, ...model, '--port', '0', ...args], { cwd: root });
  let output = '';
  for (const stream of [child.stdout!, child.stderr!]) stream.on('data', (text) => (output += text));
  const exit = once(child, 'exit');
  for (;;) {
    const url = output.match(/listens on (\S+):/)?.[1];
    if (url !== undefined) {
      return { child, url, output: () => output, ended: async () => (await exit)[0] as number | null };
    }
    assert.is(child.exitCode, null, output);
    await sleep(20);
  }
}

const ask = (url: string, route: string, body: object, signal?: AbortSignal): Promise<Response> =>
  fetch(`${url}/v1/${route}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    ...(signal && { signal }),
  });

interface Completion {
  readonly choices: readonly { readonly text: string }[];
  readonly usage: { readonly completion_tokens: number };
}

test('serves the trained model to several clients, says nothing of their prompts, and ends on SIGTERM', async () => {
  const server = await start('--max-sequences', '3', '--grace', '20', '--threads', '1');
  const { url, child } = server;
  try {
    const expected = prompts.map(({ greedy }) => greedy);
    const whole = await Promise.all(
      prompts.map(async ({ prompt }) => {
        const answer = await ask(url, 'completions', { model: 'bytes-lm', prompt, max_tokens: 64, temperature: 0 });
        assert.is(answer.status, 200);
        return ((await answer.json()) as Completion).choices[0]!.text;
      }),
    );
    assert.equal(whole, expected);
    const streamed = await Promise.all(
      prompts.map(async ({ prompt }) => {
        const body = { prompt, max_tokens: 64, temperature: 0, stream: true };
        let text = '';
        for await (const event of readEvents((await ask(url, 'completions', body)).body!)) {
          text += (event as Completion).choices[0]!.text;
        }
        return text;
      }),
    );
    assert.equal(streamed, expected);
    const chat = await ask(url, 'chat/completions', {
      messages: [{ role: 'user', content: 'Who made the earth?' }],
      max_tokens: 16,
    });
    assert.is(chat.status, 200);
    const bad = await ask(url, 'completions', { prompt: 'x'.repeat(300) });
    assert.is(bad.status, 400);
    assertError(await bad.json(), { code: 'context_length_exceeded', message: /the prompt has 301 tokens, .* 256/ });

    const gone = new AbortController();
    const left = ask(url, 'completions', { prompt: 'x', max_tokens: 200, stream: true }, gone.signal);
    await (await left).body!.getReader().read();
    gone.abort();
    for (;;) {
      const health = (await (await fetch(`${url}/health`)).json()) as {
        requests: number;
        sequences: { in_use: number };
      };
      if (health.requests === 0 && health.sequences.in_use === 0) break;
      await sleep(10);
    }

    // A request in flight is finished after the signal.
    const last = await ask(url, 'completions', { prompt: 'And', max_tokens: 200, temperature: 0, stream: true });
    child.kill('SIGTERM');
    let events = 0;
    for await (const event of readEvents(last.body!)) {
      assert.not.ok('error' in (event as object), JSON.stringify(event));
      events++;
    }
    assert.ok(events > 100);
    assert.is(await server.ended(), 0, server.output());
    assert.not.match(server.output(), /psalmist|LAWYER|made the earth|prompt/, 'the log has no word of a prompt');
    assert.match(server.output(), /"url":"\/v1\/completions"/);
  } finally {
    child.kill('SIGKILL');
  }
});

test('a second signal ends it at once', async () => {
  const server = await start('--grace', '60', '--log', 'silent');
  try {
    const answer = await ask(server.url, 'completions', { prompt: 'x', max_tokens: 250, n: 16, stream: true });
    server.child.kill('SIGINT');
    while (!server.output().includes('may go on')) await sleep(5);
    server.child.kill('SIGINT');
    assert.is(await server.ended(), 130);
    await answer.text().catch(() => {}); // cut off
  } finally {
    server.child.kill('SIGKILL');
  }
});

test('says what is wrong with the command line, the model or the weights', () => {
  const run = (...args: string[]) => spawnSync(process.execPath, [...main, ...args], { cwd: root, encoding: 'utf8' });
  const help = run('--help');
  assert.is(help.status, 0);
  for (const word of ['--max-waiting', '--grace', '/v1/chat/completions', 'curl']) assert.match(help.stdout, word);
  assert.match(run('--model', 'x.ts').stderr, /required option '--weights <path>'/);
  assert.match(run(...model, '--port', '99999').stderr, /Wanted a whole number from 0 to 65535/);
  const missing = run('--model', 'nowhere.ts', '--weights', 'x');
  assert.is(missing.status, 1);
  assert.match(missing.stderr, /^error model-file-missing: /);
  assert.not.match(missing.stderr, /\n\s+at /);
});

test.run();
