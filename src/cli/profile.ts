// `ultramem profile`: kernel by kernel, bytes that must move beside bytes that moved, and what else simt counts.

import { writeFile } from 'node:fs/promises';
import Table from 'cli-table3';
import { Command, Option } from 'commander';
import type { Precision, TableType } from '../compile.ts';
import type { Bytes, Figures, Profile, ProfiledStep } from '../profile/index.ts';
import { cannotObserve } from '../support/errors/session.ts';
import { readModel } from './open-session.ts';
import {
  configOption,
  examples,
  jsonOption,
  numberList,
  pastOption,
  precisionOption,
  randomWeightsOption,
  tablesOption,
  targets,
} from './options.ts';
import { plainTable } from './table.ts';
import type { Terminal } from './terminal.ts';

interface ProfileFlags {
  readonly target: string;
  readonly tokens: readonly number[];
  readonly config?: string;
  readonly weights?: string;
  readonly past?: number;
  readonly precision: Precision;
  readonly tables?: TableType;
  readonly fuse: boolean;
  readonly each?: boolean;
  readonly traceEvents?: string;
  readonly json?: boolean;
}

const columns = `
Columns:
  n         launches of a kernel from a line of the model
  must      bytes that must move: every input of a launch once, every output once; of a table the rows that tokens choose
  moved     bytes that moved: the 32-byte sectors of every request to global memory
  ratio     moved / must
  touched   the same with each sector once per launch: what moves where a cache serves repeats
  flops     additions, multiplications and functions
  µs        projected from touched and flops, not measured
  requests  to global memory, one per warp and place in the code
  asked     bytes that the threads asked for
  conflicts passes that requests to shared memory need beyond one each
  idle      share of the lanes that took no part in requests: in another branch, or past the end`;

export function profileVerb(terminal: Terminal): Command {
  return new Command('profile')
    .description('count what the kernels of a model move and do, launch by launch')
    .argument('<model>', 'TypeScript file of the model')
    .addOption(
      new Option('--tokens <list>', 'tokens of the steps to count, as 1,16').argParser(numberList).default([1], '1'),
    )
    .addOption(randomWeightsOption())
    .addOption(configOption())
    .addOption(precisionOption())
    .addOption(tablesOption())
    .addOption(new Option('--target <target>', 'what counts: simt').choices([...targets]).default('simt'))
    .addOption(pastOption())
    .option('--no-fuse', 'count the graph as the model file writes it: what fusion is measured against')
    .option('--each', 'a row per launch, not per kernel and line')
    .option('--trace-events <file>', 'also write the launches for chrome://tracing or ui.perfetto.dev')
    .addOption(jsonOption())
    .addHelpText('after', columns)
    .addHelpText(
      'after',
      examples(
        'ultramem profile examples/bytes-lm/model.ts --tokens 1,16',
        'ultramem profile examples/layer.ts --config layer.json --tokens 64 --no-fuse',
        'ultramem profile model.ts --json | jq ".steps[0].totals"',
        'ultramem profile model.ts --tokens 1,64 --trace-events trace.json',
      ),
    )
    .action(async (file: string, flags: ProfileFlags) => {
      const { profile, traceEvents } = await import('../profile/index.ts');
      if (flags.target !== 'simt') throw cannotObserve('kernels are counted by simt alone', `target ${flags.target}`);
      const { tokens, weights, past, precision, tables, fuse } = flags;
      const result = await profile(await readModel(terminal, file, flags), {
        ...{ tokens, weights, past, precision, tables, fuse, signal: terminal.signal },
        onProgress: terminal.progress,
      });
      if (flags.traceEvents !== undefined) {
        await writeFile(flags.traceEvents, `${JSON.stringify(traceEvents(result))}\n`);
      }
      if (flags.json) return terminal.printJson(result);
      terminal.print(result.steps.map((step) => text(step, flags.each ?? false)).join('\n\n'));
      terminal.print(`\n${remarks(result)}`);
      if (flags.traceEvents !== undefined) terminal.note(`launches written to ${flags.traceEvents}`);
    });
}

/** One row of both tables. */
interface Row extends Figures {
  readonly kernel: string;
  readonly place: string | null;
  readonly launches: number;
}

function text(step: ProfiledStep, each: boolean): string {
  const rows: readonly Row[] = each ? step.launches.map((launch) => ({ ...launch, launches: 1 })) : step.kernels;
  const total: Row = { kernel: 'all', place: '', launches: step.launches.length, ...step.totals };
  const devices = Object.keys(step.totals.projected);
  const head = [
    'kernel',
    'line',
    'n',
    'must',
    'moved',
    'ratio',
    'touched',
    'flops',
    ...devices.map((name) => `${name} µs`),
  ];
  const bytes = new Table(plainTable(head, rightOf(head)));
  const countHead = ['kernel', 'line', 'requests', 'asked', 'conflicts', 'idle', 'atomics', 'barriers', 'mma'];
  const counts = new Table(plainTable(countHead, rightOf(countHead)));
  for (const { kernel, place, launches, must, moved, touched, asked, flops, counters: c, projected } of [
    ...rows,
    total,
  ]) {
    const name = [kernel, place ?? ''];
    const ratio = sum(must) === 0 ? '' : (sum(moved) / sum(must)).toFixed(2);
    bytes.push([
      ...name,
      launches,
      size(must),
      size(moved),
      ratio,
      size(touched),
      short(flops),
      ...devices.map((d) => projected[d]!.toPrecision(3)),
    ]);
    const requests = c.loadRequests + c.storeRequests;
    const lanes = 32 * (requests + c.sharedRequests);
    const idle = lanes === 0 ? '' : `${Math.round((100 * c.idleLanes) / lanes)} %`;
    counts.push([...name, short(requests), size(asked), short(c.bankConflicts), idle, c.atomics, c.barriers, c.mma]);
  }
  const title = `T = ${step.tokens} (${step.variant}): ${step.holds}`;
  const least = `As one launch, with nothing between and no row of a table twice: ${size(step.least)}.`;
  return `${title}\n\n${bytes.toString()}\n\n${counts.toString()}\n\n${least}`;
}

const rightOf = (head: readonly string[]): number[] => head.map((_, i) => i).slice(2);

const sum = ({ read, written }: Bytes): number => read + written;
const size = (bytes: Bytes): string => short(sum(bytes));

/** Three digits and a letter. */
function short(n: number): string {
  const steps = [
    [1e9, 'G'],
    [1e6, 'M'],
    [1e3, 'k'],
  ] as const;
  const found = steps.find(([unit]) => n >= unit);
  return found === undefined ? String(n) : `${(n / found[0]).toPrecision(3)}${found[1]}`;
}

const remarks = ({ weights, fused, note }: Profile): string =>
  [
    note,
    weights === 'random' ? 'Weights and inputs are random.' : 'Inputs are random.',
    fused ? '' : 'Nothing was fused.',
  ]
    .filter((line) => line !== '')
    .join('\n');
