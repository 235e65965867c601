// Loads a model, generates and disposes of it, again and again, and prints what the process holds every ten rounds:
//
//   npx tsx test/robustness/load-rounds.ts [--target cpu|simt] [--rounds 100] [--abort none|load|generate] [--tokens 8] [--dir folder] [--json]
//
// With `--abort`, every load or generation is aborted at some point of it; a load that was too quick goes on. With `--dir`, the model
// is taken from there; else it is compiled.

import { fileURLToPath, pathToFileURL } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Command, Option } from 'commander';
import type { UltramemError } from '../../src/support/errors.ts';
import type { EmittedClass } from '../compiled-model.ts';
import { type ProcessFigures, processFigures } from '../process-figures.ts';

const flags = new Command()
  .addOption(new Option('--target <target>', 'target').choices(['cpu', 'simt']).default('cpu'))
  .addOption(new Option('--rounds <n>', 'rounds').argParser(Number).default(100))
  .addOption(new Option('--abort <what>', 'what to abort').choices(['none', 'load', 'generate']).default('none'))
  .addOption(new Option('--tokens <n>', 'tokens of each generation').argParser(Number).default(8))
  .option('--dir <folder>', 'of the compiled model')
  .option('--json', 'print the figures as JSON')
  .parse()
  .opts<Flags>();

interface Flags {
  readonly target: 'cpu' | 'simt';
  readonly rounds: number;
  readonly abort: 'none' | 'load' | 'generate';
  readonly tokens: number;
  readonly dir?: string;
  readonly json?: true;
}

/** What a process holds after so many rounds, and how many of them were aborted. */
export interface RoundFigures extends ProcessFigures {
  readonly round: number;
  readonly aborted: number;
}

/** The compiler is not loaded where the model is compiled: what is measured is the runtime alone. */
async function compiled(): Promise<string> {
  const { compile, loadModel } = await import('../../src/compile.ts');
  const { freshFolder } = await import('../build-folder.ts');
  const model = await loadModel(fileURLToPath(new URL('../../examples/bytes-lm/model.ts', import.meta.url)));
  return (await compile(model, { target: flags.target, outDir: freshFolder(`rounds-${flags.target}`) })).dir;
}

const dir = flags.dir ?? (await compiled());
const { BytesLm } = (await import(pathToFileURL(`${dir}/model.ts`).href)) as { BytesLm: EmittedClass };
const checkpoint = fileURLToPath(new URL('../../examples/bytes-lm/ultramem-bytes.safetensors', import.meta.url));
setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

let aborted = 0;
let took = { load: 20, generate: 20 }; // milliseconds, of the last that was not aborted

/** Runs it with a signal that comes somewhere between the beginning and the end, where it shall be aborted. */
async function sometimesAborted<R>(what: 'load' | 'generate', round: number, run: (signal: AbortSignal) => Promise<R>) {
  const controller = new AbortController();
  const delay = (((round * 37) % 100) / 100) * took[what];
  const timer = flags.abort === what && round > 0 ? setTimeout(() => controller.abort(), delay) : undefined;
  const began = performance.now();
  try {
    const result = await run(controller.signal);
    took = { ...took, [what]: performance.now() - began };
    return result;
  } catch (error) {
    if ((error as UltramemError).code !== 'aborted') throw error;
    aborted++;
    return undefined;
  } finally {
    clearTimeout(timer);
  }
}

async function once(round: number): Promise<void> {
  await using model = await sometimesAborted('load', round, (signal) =>
    BytesLm.load(checkpoint, { threads: 2, copy: round % 2 === 0, signal }),
  );
  await sometimesAborted('generate', round, async (signal) =>
    model?.complete('In', {
      maxTokens: flags.tokens,
      seed: round,
      temperature: 1,
      ...(signal && { signal }),
    }),
  );
}

const every = Math.max(1, Math.floor(flags.rounds / 10));
const figures: RoundFigures[] = [];
for (let round = 1; round <= flags.rounds; round++) {
  await once(round - 1);
  if (round % every !== 0) continue;
  collect();
  await new Promise((resolve) => setTimeout(resolve, 10)); // finalizers run in turns of the event loop
  collect();
  const now = { round, aborted, ...processFigures() };
  figures.push(now);
  if (flags.json) continue;
  const MiB = (bytes: number): string => (bytes / 2 ** 20).toFixed(1);
  console.log(
    `round ${round}: ${MiB(now.rss)} MiB of its own, ${MiB(now.mappedFiles)} of files, heap ${MiB(now.heap)}, external ${MiB(now.external)}, ` +
      `addresses ${MiB(now.addresses)}; ${now.files} files, ${now.threads} threads, ${now.mappings} mappings; ${aborted} aborted`,
  );
}
if (flags.json) console.log(JSON.stringify(figures));
