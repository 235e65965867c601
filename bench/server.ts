// A load on examples/server: clients that stream completions side by side, each one request after another.
//
//   npm --prefix bench run server -- [--clients 1,4,16 --requests 16 --max-tokens 64 --json results.json]

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { Command, InvalidArgumentError, Option } from 'commander';
import { readEvents } from '../examples/server/read-events.ts';
import { rounded, table } from './figures.ts';
import { machine } from './machine.ts';
import { fromRoot } from './paths.ts';

interface Flags {
  readonly clients: readonly number[];
  readonly requests: number;
  readonly maxTokens: number;
  readonly sequences?: number;
  readonly threads?: number;
  readonly target: string;
  readonly url?: string;
  readonly json?: string;
}

/** Of one request: milliseconds from sending it to its first token and to its end; what ended it otherwise. */
type Answer = { readonly tokens: number; readonly first: number; readonly total: number } | { readonly error: string };

interface Load {
  readonly clients: number;
  readonly requests: number;
  readonly seconds: number;
  readonly requestsPerSecond: number;
  readonly tokensPerSecond: number;
  /** Milliseconds to the first token, and for a whole request. */
  readonly first: { readonly p50: number; readonly p99: number };
  readonly total: { readonly p50: number; readonly p99: number };
  /** How many requests ended in each error. */
  readonly errors: Readonly<Record<string, number>>;
}

const EXAMPLE = fromRoot('examples/bytes-lm');
const prompts = [
  'In the beginning God created the heaven and the earth. And the ',
  'Verse 7. The psalmist here ',
  'LAWYER, n.  One skilled in ',
  'And it came to pass in those days, that ',
];

const flags = new Command('npm --prefix bench run server --')
  .description('load examples/server with clients that stream, on this machine; a table on stdout, progress on stderr')
  .addOption(
    new Option('--clients <list>', 'clients at once, as 1,4,16')
      .argParser((list) => list.split(',').map(whole))
      .default([1, 4, 16], '1,4,16'),
  )
  .addOption(new Option('--requests <n>', 'requests of each client').argParser(whole).default(16))
  .addOption(new Option('--max-tokens <n>', 'tokens of each answer').argParser(whole).default(64))
  .addOption(
    new Option('--sequences <n>', 'sequences of the server (default: as many as most clients)').argParser(whole),
  )
  .addOption(new Option('--threads <n>', 'threads per step of the server (default: one per core)').argParser(whole))
  .addOption(new Option('--target <target>', 'what runs the model').choices(['cpu', 'cuda']).default('cpu'))
  .option('--url <url>', 'a server that runs already, in place of one that is started on examples/bytes-lm')
  .option('--json <file>', 'write all figures as one JSON value; from the root of the repository')
  .parse()
  .opts<Flags>();

await main();

async function main(): Promise<void> {
  const server = flags.url === undefined ? await startServer() : undefined;
  const url = flags.url ?? server!.url;
  try {
    await load(url, 1, 1); // the first request pays for what is done once
    const loads: Load[] = [];
    for (const clients of flags.clients) {
      console.error(`${clients} clients, ${flags.requests} requests each`);
      loads.push(await load(url, clients, flags.requests));
    }
    const { maxTokens, target, threads, sequences } = flags;
    console.log(`${machine()}\n\n${maxTokens} tokens an answer, streamed.\n\n${text(loads)}`);
    if (flags.json !== undefined) {
      const results = { machine: machine(), settings: { maxTokens, target, threads, sequences }, loads };
      await writeFile(resolve(fromRoot(''), flags.json), `${JSON.stringify(results, null, 2)}\n`);
    }
    if (loads.some(({ errors }) => Object.keys(errors).length > 0)) process.exitCode = 1;
  } finally {
    await server?.stop();
  }
}

/** The example in a process of its own, on a free port. */
async function startServer(): Promise<{ url: string; stop(): Promise<void> }> {
  const sequences = flags.sequences ?? Math.max(...flags.clients);
  console.error('starting the server: compiles the model where it has not been compiled before');
  const child = spawn(
    process.execPath,
    [
      ...[
        '--import',
        'tsx',
        fromRoot('examples/server/main.ts'),
        '--port',
        '0',
        '--log',
        'warn',
        '--target',
        flags.target,
      ],
      ...['--model', `${EXAMPLE}/model.ts`, '--weights', `${EXAMPLE}/ultramem-bytes.safetensors`],
      ...['--max-sequences', `${sequences}`, '--timeout', '600'],
      ...(flags.threads === undefined ? [] : ['--threads', `${flags.threads}`]),
    ],
    { cwd: fromRoot('bench'), stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const url = await Promise.race([address(child), once(child, 'exit').then(() => undefined)]);
  if (url === undefined) throw new Error('the server did not start; it said why');
  return {
    url,
    async stop() {
      child.kill('SIGTERM');
      if (child.exitCode === null) await once(child, 'exit');
    },
  };
}

async function address(child: ChildProcess): Promise<string | undefined> {
  for await (const line of createInterface({ input: child.stdout! })) {
    const url = line.match(/listens on (\S+):/)?.[1];
    if (url !== undefined) return url;
  }
  return undefined;
}

async function load(url: string, clients: number, requests: number): Promise<Load> {
  const answers: Answer[] = [];
  const start = performance.now();
  await Promise.all(
    Array.from({ length: clients }, async (_, client) => {
      for (let i = 0; i < requests; i++) answers.push(await ask(url, prompts[(client + i) % prompts.length]!, i));
    }),
  );
  const seconds = (performance.now() - start) / 1000;
  const good = answers.filter((answer) => 'tokens' in answer);
  const errors: Record<string, number> = {};
  for (const answer of answers) if ('error' in answer) errors[answer.error] = (errors[answer.error] ?? 0) + 1;
  return {
    ...{ clients, requests: answers.length, seconds },
    requestsPerSecond: good.length / seconds,
    tokensPerSecond: good.reduce((sum, { tokens }) => sum + tokens, 0) / seconds,
    first: percentiles(good.map(({ first }) => first)),
    total: percentiles(good.map(({ total }) => total)),
    errors,
  };
}

interface Chunk {
  readonly error?: { readonly code: string };
  readonly usage?: { readonly completion_tokens: number } | null;
}

async function ask(url: string, prompt: string, seed: number): Promise<Answer> {
  const start = performance.now();
  const { maxTokens } = flags;
  try {
    const response = await fetch(`${url}/v1/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        ...{ prompt, seed, max_tokens: maxTokens, stream: true },
        stream_options: { include_usage: true },
      }),
    });
    if (!response.ok) {
      await response.body?.cancel();
      return { error: `${response.status}` };
    }
    let first = 0;
    let tokens: number | undefined;
    for await (const event of readEvents(response.body!)) {
      const { error, usage } = event as Chunk;
      if (error !== undefined) return { error: error.code };
      first ||= performance.now() - start;
      tokens = usage?.completion_tokens ?? tokens;
    }
    return tokens === undefined ? { error: 'cut off' } : { tokens, first, total: performance.now() - start };
  } catch (error) {
    const { cause, message } = error as Error & { cause?: NodeJS.ErrnoException };
    return { error: cause?.code ?? message };
  }
}

function percentiles(values: readonly number[]): { p50: number; p99: number } {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.ceil(share * sorted.length) - 1] ?? Number.NaN;
  return { p50: at(0.5), p99: at(0.99) };
}

function text(loads: readonly Load[]): string {
  const head = [
    'clients',
    'requests / s',
    'tokens / s',
    'first token, ms: p50',
    'p99',
    'whole, ms: p50',
    'p99',
    'errors',
  ];
  const rows = loads.map(({ clients, requestsPerSecond, tokensPerSecond, first, total, errors }) => [
    `${clients}`,
    ...[requestsPerSecond, tokensPerSecond, first.p50, first.p99, total.p50, total.p99].map((value) =>
      Number.isNaN(value) ? '–' : rounded(value),
    ),
    Object.entries(errors)
      .map(([name, count]) => `${count} × ${name}`)
      .join(', ') || '0',
  ]);
  return table(head, rows);
}

function whole(text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= 1) return value;
  throw new InvalidArgumentError('Wanted whole numbers from 1.');
}
