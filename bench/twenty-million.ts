// Twenty million value rows that stay in their file: how long loading takes, what is in memory, and how fast tokens come while rows
// are read from the disk and once they are in memory. Writes the checkpoint where it is missing (11 GB; two minutes).
//
//   npm --prefix bench run twenty-million -- [--weights file.safetensors] [--threads 2]

import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Command } from 'commander';
import { compile, loadModel } from 'ultramem/compile';
import { estimateLoad, loadNative, matchWeights, requireAddon, Session, sessionSymbols } from 'ultramem/runtime';
import { rounded, table } from './figures.ts';
import { machine } from './machine.ts';
import { fromRoot } from './paths.ts';

const TOKENS = 32;
const MODEL = 'examples/twenty-million/model.ts';

const { weights, threads } = new Command()
  .option(
    '--weights <file>',
    'checkpoint; written where it is missing',
    fromRoot('out/bench/twenty-million.safetensors'),
  )
  .option('--threads <n>', 'threads', Number, 2)
  .parse()
  .opts<{ weights: string; threads: number }>();

const rss = () => process.memoryUsage.rss();
const seconds = async <R>(run: () => Promise<R>): Promise<[R, number]> => {
  const started = performance.now();
  const result = await run();
  return [result, (performance.now() - started) / 1000];
};
/** Takes the checkpoint's pages out of memory; GNU dd says so to the system. */
const dropPages = () => execFileSync('dd', [`if=${weights}`, 'iflag=nocache', 'count=0', 'status=none']);
const gigabytes = (bytes: number): string => `${rounded(bytes / 1e9)} GB`;
const figures: [string, string][] = [];
const say = (what: string, figure: string) => {
  figures.push([what, figure]);
  console.error(`${what}: ${figure}`);
};

if (!existsSync(weights)) {
  const writer = fromRoot('examples/twenty-million/write-checkpoint.ts');
  const options = ['--tsconfig', fromRoot('tsconfig.json')];
  execFileSync('npx', ['tsx', ...options, writer, fromRoot(MODEL), weights], { stdio: 'inherit', cwd: fromRoot('.') });
}
const model = await loadModel(fromRoot(MODEL));
const [{ addon }, compiling] = await seconds(() =>
  compile(model, { outDir: fromRoot('out/bench/twenty-million'), precision: 'bf16' }),
);
say('compile', `${rounded(compiling)} s`);
const native = requireAddon(pathToFileURL(addon).href, basename(addon));
const description = native.describe();
const matched = await matchWeights(description, weights);
const estimate = estimateLoad(description, matched.weights);
say('estimate: stays in its file', gigabytes(estimate.inFile));
say('estimate: mapped besides', gigabytes(estimate.mapped));
say(
  'estimate: own memory',
  `${gigabytes(estimate.own + estimate.prepared)}, ${gigabytes(estimate.passing)} more while loading`,
);
const before = rss();
say('resident before', gigabytes(before));

for (const start of ['first', 'second'] as const) {
  if (start === 'first') dropPages();
  const [loaded, loading] = await seconds(() =>
    loadNative(native, matched.files!, { threads, tokenizer: model.meta.tokenizer }),
  );
  say(`${start} start: load`, `${rounded(loading)} s`);
  const session = new Session(loaded.openEngine(sessionSymbols(loaded.model, { maxSequences: 1 }), threads));
  const atLoad = session.memory();
  say(`${start} start: table pages in memory after load`, gigabytes(atLoad.weights.inFileResident));
  say(`${start} start: own memory`, gigabytes(atLoad.weights.own + atLoad.weights.prepared));
  say(`${start} start: session`, gigabytes(atLoad.session.states + atLoad.session.arena + atLoad.session.scratch));
  say(`${start} start: resident after load`, gigabytes(rss()));
  for (const round of ['rows from disk', 'rows in memory'] as const) {
    if (start === 'second' && round === 'rows from disk') continue;
    const options = { maxTokens: TOKENS, temperature: 1, seed: 7 }; // the same tokens, and rows, each time
    const [{ tokens }, decoding] = await seconds(() => session.complete('In the beginning', options));
    say(
      `${start} start, ${round}: ${tokens.length} tokens and the prompt`,
      `${rounded(decoding)} s, ${rounded(tokens.length / decoding)} tokens per second`,
    );
  }
  const after = session.memory();
  say(`${start} start: table pages in memory after decoding`, gigabytes(after.weights.inFileResident));
  say(`${start} start: resident after decoding`, gigabytes(after.rss));
  await session[Symbol.asyncDispose]();
  loaded.dispose();
  await new Promise((resolve) => setTimeout(resolve, 200));
  say(`${start} start: resident after dispose`, gigabytes(rss()));
}
console.log(`${machine()}, ${threads} threads\n\n${table(['what', 'figure'], figures, ['what'])}`);
