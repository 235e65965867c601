// Streams a completion with nothing but Node's fetch.
//
//   npx tsx examples/server/client.ts "In the beginning" [http://127.0.0.1:8080]

import { readEvents } from './read-events.ts';

/** What an event of /v1/completions holds; `error` where the server failed half-way. */
interface Chunk {
  readonly choices?: readonly { readonly text: string }[];
  readonly error?: { readonly message: string };
}

const [prompt = 'In the beginning', url = 'http://127.0.0.1:8080'] = process.argv.slice(2);
const response = await fetch(`${url}/v1/completions`, {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ prompt, max_tokens: 128, temperature: 0.8, stream: true }),
});
if (!response.ok) {
  const { error } = (await response.json()) as Required<Chunk>;
  throw new Error(`${response.status}: ${error.message}`);
}
for await (const event of readEvents(response.body!)) {
  const { choices, error } = event as Chunk;
  if (error !== undefined) throw new Error(error.message);
  process.stdout.write(choices?.[0]?.text ?? '');
}
process.stdout.write('\n');
