// Tokens per second of examples/bytes-lm: a prompt at once, one sequence token by token, many sequences in one step.
//
//   npm --prefix bench run bytes-lm [-- --threads 1 --rounds 5 --json out.json]

import { writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { markdownTable } from 'markdown-table';
import { compile, loadModel } from 'ultramem/compile';
import { median } from 'ultramem/profile';
import { openNative, requireAddon, type Session } from 'ultramem/runtime';
import { machine } from './machine.ts';

const SEQUENCES = 16;
const PROMPT = 192;

const { values: flags } = parseArgs({
  options: {
    threads: { type: 'string', default: '1,2' },
    rounds: { type: 'string', default: '9' },
    json: { type: 'string' },
  },
});
const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));
const prompt = Int32Array.from({ length: PROMPT }, (_, i) => (i === 0 ? 256 : 97 + ((i * 7) % 26)));

const model = await loadModel(path('../examples/bytes-lm/model.ts'));
const { addon } = await compile(model, { outDir: path('../out/bench/bytes-lm') });
console.log(machine());
const results: { threads: number; kind: string; median: number; best: number; worst: number }[] = [];
for (const threads of flags.threads.split(',').map(Number)) {
  const { native, session } = await openNative(
    requireAddon(pathToFileURL(addon).href, basename(addon)),
    path('../examples/bytes-lm/ultramem-bytes.safetensors'),
    { threads, maxSequences: SEQUENCES },
  );
  const kinds = {
    [`prompt of ${PROMPT}`]: () => prefill(session),
    'one sequence': () => decode(session, 1, 128),
    [`${SEQUENCES} sequences`]: () => decode(session, SEQUENCES, 32),
    'generate()': () => generate(session, 128),
  };
  const rates: Record<string, number[]> = {};
  for (let round = 0; round < Number(flags.rounds); round++) {
    for (const [kind, run] of Object.entries(kinds)) {
      await run();
      (rates[kind] ??= []).push(await run());
    }
  }
  const rows = Object.entries(rates).map(([kind, all]) => ({
    threads,
    kind,
    median: Math.round(median(all)),
    best: Math.round(Math.max(...all)),
    worst: Math.round(Math.min(...all)),
  }));
  results.push(...rows);
  await session[Symbol.asyncDispose]();
  native.dispose();
}
console.log(
  markdownTable(
    [
      ['threads', 'tokens per second', 'median', 'worst', 'best'],
      ...results.map(({ threads, kind, median, worst, best }) => [threads, kind, median, worst, best].map(String)),
    ],
    { align: ['r', 'l', 'r', 'r', 'r'] },
  ),
);
if (flags.json !== undefined) await writeFile(flags.json, JSON.stringify({ machine: machine(), results }, null, 2));

/** A prompt of one sequence as a single step, four times. */
async function prefill(session: Session): Promise<number> {
  const start = performance.now();
  for (let i = 0; i < 4; i++) {
    await session.forward({ ids: prompt, positions: prompt.map((_, i) => i), sequence: prompt.map(() => 0) });
  }
  return (4 * PROMPT * 1000) / (performance.now() - start);
}

/** Steps of one token of each sequence, at positions that follow 64 tokens of prompt; the token of highest logit goes on. */
async function decode(session: Session, sequences: number, steps: number): Promise<number> {
  for (let s = 0; s < sequences; s++) {
    const start = prompt.subarray(0, 64);
    await session.forward({ ids: start, positions: start.map((_, i) => i), sequence: start.map(() => s) });
  }
  const ids = new Int32Array(sequences).fill(101);
  const sequence = ids.map((_, s) => s);
  const start = performance.now();
  for (let step = 0; step < steps; step++) {
    const { logits } = await session.forward({ ids, positions: new Int32Array(sequences).fill(64 + step), sequence });
    const width = logits!.shape[1]!;
    for (let s = 0; s < sequences; s++) {
      const row = logits!.data.subarray(s * width, (s + 1) * width) as Float32Array;
      ids[s] = row.reduce((best, value, i) => (value > row[best]! ? i : best), 0);
    }
  }
  return (sequences * steps * 1000) / (performance.now() - start);
}

/** What a program sees that streams a generation: sampling and text included. */
async function generate(session: Session, tokens: number): Promise<number> {
  for (let s = 0; s < SEQUENCES; s++) session.sequences!.free(s);
  let [start, count] = [0, 0];
  for await (const _ of session.generate(prompt.subarray(1, 64), {
    maxTokens: tokens,
    temperature: 0.8,
    topK: 40,
    seed: 1,
  })) {
    if (count++ === 0) start = performance.now(); // after the prompt
  }
  return ((count - 1) * 1000) / (performance.now() - start);
}
