// The bench: measures ultramem on this machine, part by part, and prints a Markdown table for each.
//
//   npm run bench [-- --only layer,stages --json results.json]

import { writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { machine } from './machine.ts';
import { measureCompile } from './parts/compile.ts';
import { measureDecoders } from './parts/decoder.ts';
import { measureEventLoop } from './parts/event-loop.ts';
import { measureGeneration } from './parts/generation.ts';
import { measureHeadline } from './parts/headline.ts';
import { measureLayer } from './parts/layer.ts';
import { measureStages } from './parts/stages.ts';
import { fromRoot } from './paths.ts';
import type { Measured, Settings } from './settings.ts';

interface Part {
  readonly title: string;
  /** What it takes, for --help. */
  readonly takes: string;
  measure(settings: Settings): Promise<Measured<unknown>>;
}

/** In the order they run. */
const parts: Readonly<Record<string, Part>> = {
  layer: {
    title: 'One UltraMem V1 layer against ONNX Runtime',
    takes: 'two minutes',
    measure: measureLayer,
  },
  stages: {
    title: 'The stages of the layer against the limits of the machine',
    takes: 'a minute; needs g++',
    measure: measureStages,
  },
  decoder: {
    title: 'Decoders with memory',
    takes: 'five minutes and 10 GiB of memory; needs g++',
    measure: measureDecoders,
  },
  generation: {
    title: 'Many texts at once',
    takes: 'two minutes and 4 GiB of memory',
    measure: measureGeneration,
  },
  headline: {
    title: 'The headline: a dense decoder, a mixture of experts and UltraMem',
    takes: 'fifteen minutes and 20 GiB of memory; needs g++',
    measure: measureHeadline,
  },
  compile: {
    title: 'Compile time',
    takes: 'two minutes; with nvcc two more',
    measure: measureCompile,
  },
  'event-loop': {
    title: 'How long the event loop is held',
    takes: 'half a minute',
    measure: measureEventLoop,
  },
};

interface Flags {
  readonly only: readonly string[];
  readonly threads: readonly number[];
  readonly tokens: readonly number[];
  readonly batches: readonly number[];
  readonly lengths: readonly number[];
  readonly rounds: number;
  readonly seconds: number;
  readonly json?: string;
}

const help = `
Parts:
${Object.entries(parts)
  .map(([name, { title, takes }]) => `  ${name.padEnd(10)} ${title} (${takes})`)
  .join('\n')}

All contenders of a part take turns in every round. Close everything else first: on two cores a compiler in the background changes
every figure. bench/README.md says how each part is measured.

Examples:
  $ npm run bench                                                  # all parts
  $ npm run bench -- --only layer --tokens 1,64 --threads 1        # one part, fewer steps
  $ npm run bench -- --only stages --rounds 3 --seconds 0.1        # a first look
  $ npm run bench -- --json results.json                           # all figures, beside the tables`;

const command = new Command('npm run bench --')
  .description('measure ultramem on this machine: Markdown tables on stdout, progress on stderr')
  .addOption(
    new Option('--only <parts>', 'parts to run, with commas between')
      .argParser(partNames)
      .default(Object.keys(parts), 'all'),
  )
  .addOption(
    new Option('--threads <list>', 'thread counts, as 1,2')
      .argParser(numberList)
      .default([...new Set([1, availableParallelism()])], 'one, and one per core'),
  )
  .addOption(
    new Option('--tokens <list>', 'tokens of the steps of layer and stages')
      .argParser(numberList)
      .default([1, 4, 16, 64, 256], '1,4,16,64,256'),
  )
  .addOption(
    new Option('--batches <list>', 'sequences of the steps of headline')
      .argParser(numberList)
      .default([1, 4, 16, 64, 256], '1,4,16,64,256'),
  )
  .addOption(
    new Option('--lengths <list>', 'positions that each sequence of headline holds')
      .argParser(numberList)
      .default([128, 2048], '128,2048'),
  )
  .addOption(new Option('--rounds <n>', 'rounds').argParser(positive(true)).default(9))
  .addOption(
    new Option('--seconds <s>', 'seconds of calls per contender and round; stages take a tenth')
      .argParser(positive(false))
      .default(0.2),
  )
  .addOption(new Option('--json <file>', 'write all results as one JSON value; from the root of the repository'))
  .addHelpText('after', help)
  .action(main);

await command.parseAsync();

async function main({ only, json, ...settings }: Flags): Promise<void> {
  const results: Record<string, unknown> = { machine: machine(), settings };
  const { threads, rounds, seconds } = settings;
  console.log(`${machine()}\n\nThreads ${threads.join(' and ')}; ${rounds} rounds of ${seconds} s per contender.`);
  for (const [name, { title, measure }] of Object.entries(parts)) {
    if (!only.includes(name)) continue;
    const progress = (text: string): void => console.error(`${name}: ${text}`);
    try {
      const measured = await measure({ ...settings, progress });
      console.log(`\n## ${title}\n\n${measured.markdown}`);
      results[name] = measured.results;
    } catch (error) {
      // What other parts find is not lost for it.
      console.error(`${name}: ${error instanceof Error ? error.message : String(error)}`);
      process.exitCode = 1;
    }
    if (json !== undefined) await writeFile(resolve(fromRoot(''), json), `${JSON.stringify(results, null, 2)}\n`);
  }
}

function partNames(list: string): readonly string[] {
  const names = list.split(',');
  const unknown = names.filter((name) => !(name in parts));
  if (unknown.length > 0) {
    throw new InvalidArgumentError(`No part ${unknown.join(', ')}; there are ${Object.keys(parts).join(', ')}.`);
  }
  return names;
}

function numberList(list: string): readonly number[] {
  const numbers = list.split(',').map(Number);
  if (/^\d+(,\d+)*$/.test(list) && numbers.every((n) => Number.isSafeInteger(n) && n >= 1)) return numbers;
  throw new InvalidArgumentError('Wanted whole numbers from 1, with commas between them.');
}

function positive(whole: boolean): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (value > 0 && Number.isFinite(value) && (!whole || Number.isInteger(value))) return value;
    throw new InvalidArgumentError(`Wanted a ${whole ? 'whole ' : ''}number above 0.`);
  };
}
