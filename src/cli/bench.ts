// `ultramem bench`: how long steps of a model take on this machine.

import Table from 'cli-table3';
import { Command, Option } from 'commander';
import type { Precision, TableType } from '../compile.ts';
import type { Bench, TextsBench } from '../profile/index.ts';
import { readModel } from './open-session.ts';
import {
  configOption,
  examples,
  jsonOption,
  marchOption,
  numberBetween,
  numberList,
  pastOption,
  precisionOption,
  randomWeightsOption,
  tablesOption,
  wholeNumber,
} from './options.ts';
import { plainTable } from './table.ts';
import type { Terminal } from './terminal.ts';

interface BenchFlags {
  readonly tokens: readonly number[];
  readonly texts?: readonly number[];
  readonly threads?: readonly number[];
  readonly target: 'cpu' | 'cuda' | 'simt';
  readonly precision: Precision;
  readonly tables?: TableType;
  readonly march: string;
  readonly config?: string;
  readonly weights?: string;
  readonly past?: number;
  readonly rounds: number;
  readonly seconds: number;
  readonly json?: boolean;
}

const columns = `
Columns:
  median   milliseconds of a step, from the call to its outputs: the median over rounds of a round's median
  ±        half of how far rounds' medians lie apart
  least    of all calls
  tokens/s by the median
  held     milliseconds that the event loop was held at most while such steps ran: how late a timer of 1 ms came

With --texts, so many calls of generate at once on one session, and the same one by one:
  tokens/s chosen tokens of all texts by the time from the first call to the last token, prompts included
  first    milliseconds from a call to its first token: the median, and the latest of all

All sizes and thread counts take turns in every round, and 16 random inputs take turns in each. Close everything else first.`;

export function benchVerb(terminal: Terminal): Command {
  return new Command('bench')
    .description('time the steps of a model on this machine')
    .argument('<model>', 'TypeScript file of the model')
    .addOption(new Option('--tokens <list>', 'tokens of the steps, as 1,16,64').argParser(numberList).default([1], '1'))
    .addOption(
      new Option('--texts <list>', 'in place of steps: texts that are continued at once, as 1,4,16')
        .argParser(numberList)
        .conflicts(['tokens', 'past', 'seconds']),
    )
    .addOption(
      new Option('--threads <list>', 'threads per step, as 1,2 (default: one, and one per core)').argParser(numberList),
    )
    .addOption(randomWeightsOption())
    .addOption(configOption())
    .addOption(new Option('--target <target>', 'what runs the steps').choices(['cpu', 'cuda', 'simt']).default('cpu'))
    .addOption(precisionOption())
    .addOption(tablesOption())
    .addOption(marchOption())
    .addOption(pastOption())
    .addOption(new Option('--rounds <n>', 'rounds').argParser(wholeNumber(1, 1000)).default(9))
    .addOption(
      new Option('--seconds <s>', 'seconds per step and round; three calls at least')
        .argParser(numberBetween(0, 3600))
        .default(0.2),
    )
    .addOption(jsonOption())
    .addHelpText('after', columns)
    .addHelpText(
      'after',
      examples(
        'ultramem bench examples/bytes-lm/model.ts --tokens 1,16,64',
        'ultramem bench examples/layer.ts --config layer.json --tokens 64 --threads 1,2',
        'ultramem bench examples/bytes-lm/model.ts --texts 1,4,16',
        'ultramem bench model.ts --weights w.safetensors --json | jq ".steps[].median"',
      ),
    )
    .action(async (file: string, { json, texts, ...flags }: BenchFlags) => {
      const { bench, benchTexts } = await import('../profile/index.ts');
      const model = await readModel(terminal, file, flags);
      const options = {
        ...flags,
        signal: terminal.signal,
        onProgress: terminal.progress,
      };
      const result = texts === undefined ? await bench(model, options) : await benchTexts(model, { ...options, texts });
      if (json) return terminal.printJson(result);
      terminal.print(`${title(result)}\n\n${'steps' in result ? stepsText(result) : textsText(result)}`);
    });
}

function title({ model, target, precision, tables, weights, machine, rounds }: Bench | TextsBench): string {
  const { processor, cores, node } = machine;
  const what = `${model}, ${target}, ${precision}${tables === undefined ? '' : `, tables as ${tables}`}, ${weights} weights, ${rounds} rounds`;
  return `${what}\n${processor}, ${cores} cores, Node ${node}`;
}

function stepsText({ steps }: Bench): string {
  const head = ['T', 'threads', 'median ms', '±', 'least ms', 'tokens/s', 'held ms', 'calls', 'a step of'];
  const table = new Table(plainTable(head, [0, 1, 2, 3, 4, 5, 6, 7]));
  for (const { tokens, threads, median, spread, min, tokensPerSecond, held, calls, holds } of steps) {
    const times = [median, spread / 2, min].map((ms) => ms.toPrecision(3));
    table.push([tokens, threads, ...times, Math.round(tokensPerSecond), held.toPrecision(2), calls, holds]);
  }
  return table.toString();
}

function textsText({ texts, prompt, continued }: TextsBench): string {
  const table = new Table(
    plainTable(['texts', 'threads', 'calls', 'tokens/s', 'first ms', 'latest ms'], [0, 1, 3, 4, 5]),
  );
  for (const { texts: count, threads, calls, tokensPerSecond, first, latest } of texts) {
    table.push([count, threads, calls, Math.round(tokensPerSecond), first.toPrecision(3), latest.toPrecision(3)]);
  }
  return `${table.toString()}\n\nEach text: a prompt of ${prompt} tokens, continued by ${continued}.`;
}
