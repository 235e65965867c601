// `ultramem inspect`: what the compiler makes of a model, stage by stage, without building it.

import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import Table from 'cli-table3';
import { Command, Option } from 'commander';
import type { Model, Precision, TableType } from '../compile.ts';
import type { Graph, Inspection, InspectTarget } from '../inspect.ts';
import type { PageOptions } from '../inspect-page.ts';
import type { MemoryEstimate } from '../runtime/index.ts';
import { unreadableFile, unwritableFile } from '../support/errors/cli.ts';
import { mebibytes } from './memory.ts';
import { readModel } from './open-session.ts';
import { configOption, examples, jsonOption, precisionOption, tablesOption, wholeNumber } from './options.ts';
import { plainTable } from './table.ts';
import type { Terminal } from './terminal.ts';

/** What --stage shows, in the order of the pipeline. */
const stages = {
  summary: 'sizes, passes, fusion, work and memory (the default)',
  before: 'the graph as the model file wrote it',
  after: 'the graph after all passes',
  passes: 'what each pass did',
  fusion: 'what fused, what did not, and why',
  plan: 'kernels in order with their constants, memory and reasons',
} as const;
type Stage = keyof typeof stages;

interface InspectFlags {
  readonly stage: Stage;
  readonly target: InspectTarget;
  readonly json?: boolean;
  readonly config?: string;
  readonly precision: Precision;
  readonly tables?: TableType;
  readonly maxSequences: number;
  readonly weights?: string;
  readonly html?: string;
}

export function inspectVerb(terminal: Terminal): Command {
  const stageHelp = Object.entries(stages).map(([stage, shows]) => `  ${stage.padEnd(8)} ${shows}`);
  return new Command('inspect')
    .description('show what the compiler makes of a model: graphs, fusion, plan, memory')
    .argument('<model>', 'TypeScript file of the model, or the text of a graph (.ir)')
    .addOption(configOption())
    .addOption(new Option('--stage <stage>', 'what to show').choices(Object.keys(stages)).default('summary'))
    .addOption(new Option('--target <target>', 'what to plan for').choices(['cpu', 'cuda', 'simt']).default('cpu'))
    .addOption(precisionOption())
    .addOption(tablesOption())
    .addOption(
      new Option('--max-sequences <n>', 'sequences of the session whose memory is estimated')
        .argParser(wholeNumber(1))
        .default(4),
    )
    .option('--weights <path>', 'a checkpoint: its header says which weights load as they are (estimate of memory)')
    .option(
      '--html <file>',
      'write one self-contained page to look at in a browser; then nothing is printed unless --stage or --json asks for it',
    )
    .addOption(jsonOption())
    .addHelpText('after', `\nStages:\n${stageHelp.join('\n')}`)
    .addHelpText(
      'after',
      examples(
        'ultramem inspect examples/bytes-lm/model.ts',
        'ultramem inspect model.ts --stage after | less',
        'ultramem inspect model.ts --stage plan --target cuda',
        'ultramem inspect model.ts --weights w.safetensors --precision bf16 --max-sequences 16',
        'ultramem inspect model.ts --json | jq .estimate',
        'ultramem inspect model.ts --target cuda --html page.html',
        'ultramem inspect generated/bytes-lm/graph.before.ir --stage passes',
      ),
    )
    .action(
      async (
        file: string,
        { stage, json, target, precision, tables, maxSequences, weights, html, ...flags }: InspectFlags,
        command: Command,
      ) => {
        const { estimate, inspect, parseGraph } = await import('../inspect.ts');
        const isGraph = file.endsWith('.ir') && flags.config === undefined;
        const subject = isGraph ? parseGraph(readGraph(file)) : await readModel(terminal, file, flags);
        if (html !== undefined) {
          await writePage(terminal, html, subject, { target, precision, tables, maxSequences, weights, file });
          if (!json && command.getOptionValueSource('stage') === 'default') return;
        }
        const inspection = inspect(subject, { target, ...{ precision, tables } });
        const memory = await estimate(inspection.plan, maxSequences, { weights });
        if (json) return terminal.printJson({ ...inspection, estimate: memory });
        terminal.print(await text(inspection, stage, { memory, maxSequences }));
      },
    );
}

function readGraph(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw unreadableFile(path, 'graph', cause);
  }
}

/** Writes the page and says how large it is and how long it took. Throws cli-unwritable-file, and what inspecting throws. */
async function writePage(
  terminal: Terminal,
  path: string,
  subject: Model | Graph,
  options: Omit<PageOptions, 'readText'>,
): Promise<void> {
  const { inspectPage } = await import('../inspect-page.ts');
  const started = performance.now();
  terminal.progress({ stage: 'writing the page' });
  const page = await inspectPage(subject, { ...options, readText });
  try {
    await writeFile(path, page);
  } catch (cause) {
    throw unwritableFile(path, 'page', cause);
  }
  const seconds = (performance.now() - started) / 1000;
  terminal.note(`page written to ${path}: ${mebibytes(Buffer.byteLength(page))} in ${seconds.toFixed(1)} s`);
}

/** Text of a file of the model; undefined where it cannot be read, and then no lines of it are shown. */
function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** Memory of a session of so many sequences. */
interface Estimated {
  readonly memory: MemoryEstimate;
  readonly maxSequences: number;
}

async function text(inspection: Inspection, stage: Stage, estimated: Estimated): Promise<string> {
  const { printGraph, printPlan } = await import('../inspect.ts');
  switch (stage) {
    case 'summary':
      return summary(inspection, estimated);
    case 'before':
      return printGraph(inspection.before);
    case 'after':
      return printGraph(inspection.after);
    case 'passes':
      return passes(inspection);
    case 'fusion':
      return fusion(inspection);
    case 'plan':
      return printPlan(inspection.plan);
  }
}

function summary(inspection: Inspection, { memory: { weights, session }, maxSequences }: Estimated): string {
  const { before, after, plan, work } = inspection;
  const numbers = before.weights.reduce(
    (sum, { type }) => sum + type.shape.reduce<number>((n, d) => n * Number(d), 1),
    0,
  );
  const { memory } = plan;
  const facts: (readonly [string, string])[] = [
    [
      'weights',
      `${millions(numbers)} numbers in ${before.weights.length} tensors, ${mebibytes(memory.weights)} as declared`,
    ],
    ['symbols', before.symbols.map(({ name, bound, scope }) => `${name} ≤ ${bound} per ${scope}`).join(', ') || 'none'],
    [
      'nodes',
      `${before.nodes.length} as written, ${steps(after)} per step after passes, ${after.nodes.length - steps(after)} at load`,
    ],
    [
      'launches',
      plan.variants.map((v) => `${v.name} (T ${v.minTokens}…${v.maxTokens}): ${v.launches.length}`).join(', '),
    ],
    ['work at T = 1', `${millions(work.after.flops)} flops (as written ${millions(work.before.flops)})`],
    ['traffic at T = 1', `${mebibytes(work.after.bytes)} (as written, node by node, ${mebibytes(work.before.bytes)})`],
    ['memory to load', `${mebibytes(weights.own + weights.prepared)}, and ${mebibytes(weights.passing)} until loaded`],
    ['', `${mebibytes(weights.prepared)} prepared, ${mebibytes(weights.own)} of weights converted`],
    [
      'mapped',
      `${mebibytes(weights.mapped)} of weights as they are, ${mebibytes(weights.inFile)} that stay in their file`,
    ],
    [
      'a session',
      `${mebibytes(session.states)} of states for ${maxSequences} sequences (${mebibytes(memory.statePerSequence)} each), ${mebibytes(session.arena)} arena, scratch of threads`,
    ],
  ];
  const table = new Table(plainTable([before.name, '']));
  for (const fact of facts) table.push([...fact]);
  return `${table.toString()}\n\n${fusion(inspection)}`;
}

const steps = (graph: Inspection['after']): number => graph.nodes.filter(({ stage }) => stage === 'step').length;

function passes({ log }: Inspection): string {
  const table = new Table(plainTable(['pass', 'nodes before', 'after', 'ms'], [1, 2, 3]));
  for (const { pass, changed, nodesBefore, nodesAfter, milliseconds } of log) {
    table.push([pass, nodesBefore, changed ? nodesAfter : '=', milliseconds.toFixed(1)]);
  }
  return table.toString();
}

const fusion = ({ notes }: Inspection): string => notes.map(({ text }) => text).join('\n');

const millions = (n: number): string => (n >= 1e6 ? `${(n / 1e6).toFixed(2)} M` : n.toLocaleString('en-US'));
