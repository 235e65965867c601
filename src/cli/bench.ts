// `ultramem bench`: how long steps of a model take on this machine.

import Table from 'cli-table3';
import { Command, Option } from 'commander';
import type { Precision, TableType } from '../compile.ts';
import type { Bench } from '../profile/index.ts';
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

All sizes and thread counts take turns in every round, and 16 random inputs take turns in each. Close everything else first.`;

export function benchVerb(terminal: Terminal): Command {
  return new Command('bench')
    .description('time the steps of a model on this machine')
    .argument('<model>', 'TypeScript file of the model')
    .addOption(new Option('--tokens <list>', 'tokens of the steps, as 1,16,64').argParser(numberList).default([1], '1'))
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
        'ultramem bench model.ts --weights w.safetensors --json | jq ".steps[].median"',
      ),
    )
    .action(async (file: string, { json, ...flags }: BenchFlags) => {
      const { bench } = await import('../profile/index.ts');
      const result = await bench(await readModel(terminal, file, flags), {
        ...flags,
        signal: terminal.signal,
        onProgress: terminal.progress,
      });
      if (json) return terminal.printJson(result);
      terminal.print(text(result));
    });
}

function text({ model, target, precision, tables, weights, machine, rounds, steps }: Bench): string {
  const head = ['T', 'threads', 'median ms', '±', 'least ms', 'tokens/s', 'held ms', 'calls', 'a step of'];
  const table = new Table(plainTable(head, [0, 1, 2, 3, 4, 5, 6, 7]));
  for (const { tokens, threads, median, spread, min, tokensPerSecond, held, calls, holds } of steps) {
    const times = [median, spread / 2, min].map((ms) => ms.toPrecision(3));
    table.push([tokens, threads, ...times, Math.round(tokensPerSecond), held.toPrecision(2), calls, holds]);
  }
  const { processor, cores, node } = machine;
  const title = `${model}, ${target}, ${precision}${tables === undefined ? '' : `, tables as ${tables}`}, ${weights} weights, ${rounds} rounds`;
  return `${title}\n${processor}, ${cores} cores, Node ${node}\n\n${table.toString()}`;
}
