// The stages of one UltraMem V1 layer on their own, natively, against what this machine can do: see native/stages.h for the work of
// each and native/machine_limits.h for the limits, which are measured in the same run.

import { spawn } from 'node:child_process';
import { text as textOf } from 'node:stream/consumers';
import { percent, rounded, table } from '../figures.ts';
import { buildProgram } from '../native-program.ts';
import type { Measured, Settings } from '../settings.ts';

/** What native/layer.cc prints. */
export interface NativeStages {
  /** Floats per vector. */
  readonly lanes: number;
  /** Whether the processor multiplies pairs of bf16 by itself. */
  readonly multipliesPairs: boolean;
  readonly stages: readonly NativeStage[];
  readonly limits: readonly Limits[];
}

export interface NativeStage {
  readonly precision: 'f32' | 'bf16';
  readonly threads: number;
  readonly T: number;
  readonly stage: string;
  /** Microseconds of a call: the least, the median over rounds of a round's median, and how far rounds' medians lie apart. */
  readonly min: number;
  readonly median: number;
  readonly spread: number;
  readonly calls: number;
  /** Multiplications and additions of f32, of pairs of bf16, and of bytes. */
  readonly f32Flops: number;
  readonly bf16Flops: number;
  readonly byteOps: number;
  /** Bytes: in order; of value rows at random; of key rows at random. */
  readonly streamed: number;
  readonly gathered: number;
  readonly keyRows: number;
}

/** The most in any round, and the median over rounds. */
export interface Limit {
  readonly best: number;
  readonly median: number;
}

/** Flops and bytes per second of so many threads, measured in the rounds of the steps of T tokens. */
export interface Limits {
  readonly threads: number;
  readonly T: number;
  readonly f32Flops: Limit;
  /** 0 where the processor has no such instruction. */
  readonly bf16Flops: Limit;
  readonly byteOps: Limit;
  /** Of 1 GiB in order. */
  readonly read: Limit;
  /** Rows of the value table at random, from memory, by their type. */
  readonly gatherF32: Limit;
  readonly gatherBf16: Limit;
  /** Rows of the keys at random, from whatever cache holds them, by their type. */
  readonly keysF32: Limit;
  readonly keysBf16: Limit;
}

export interface Stage extends NativeStage {
  /** Microseconds that arithmetic alone and memory alone would take at the limits, the medians over rounds. */
  readonly arithmetic: number;
  readonly memory: number;
  /** The longer of them by the median measured: what is usual against what is usual in the same rounds. */
  readonly share: number;
  readonly bound: 'arithmetic' | 'memory';
}

export interface StagesResults extends Omit<NativeStages, 'stages'> {
  readonly stages: readonly Stage[];
}

/** Of `seconds`: there are eight stages in two precisions, and their times are steady. */
const PART_OF_SECONDS = 0.1;

/** @throws Error where g++ cannot build the program, or the program ends otherwise than well */
export async function measureStages(settings: Settings): Promise<Measured<StagesResults>> {
  settings.progress('building bench/native/layer.cc');
  const program = await buildProgram('layer');
  const { threads, tokens, rounds, seconds } = settings;
  const args = [threads.join(','), tokens.join(','), `${rounds}`, `${seconds * PART_OF_SECONDS}`];
  const native = JSON.parse(await outputOf(program, args)) as NativeStages;
  const stages = native.stages.map((stage) =>
    sharesOf(stage, native.limits.find(({ threads, T }) => threads === stage.threads && T === stage.T)!),
  );
  return { markdown: text({ ...native, stages }), results: { ...native, stages } };
}

async function outputOf(program: string, args: readonly string[]): Promise<string> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) =>
      code === 0 ? resolve() : reject(new Error(`${program} ended with ${signal ?? code}`)),
    );
  });
  const [output] = await Promise.all([textOf(child.stdout), ended]);
  return output;
}

function sharesOf(stage: NativeStage, limits: Limits): Stage {
  const narrow = stage.precision === 'bf16';
  const micros = (work: number, { median }: Limit): number => (work === 0 ? 0 : (1e6 * work) / median);
  const arithmetic =
    micros(stage.f32Flops, limits.f32Flops) +
    micros(stage.bf16Flops, limits.bf16Flops) +
    micros(stage.byteOps, limits.byteOps);
  const memory =
    micros(stage.streamed, limits.read) +
    micros(stage.gathered, narrow ? limits.gatherBf16 : limits.gatherF32) +
    micros(stage.keyRows, narrow ? limits.keysBf16 : limits.keysF32);
  const bound = memory > arithmetic ? 'memory' : 'arithmetic';
  return { ...stage, arithmetic, memory, share: Math.max(arithmetic, memory) / stage.median, bound };
}

const note = `- Microseconds: median (least). Share: the time that the stage would take at the limit that binds it, by the time measured, medians both.
- Operations of f32, of pairs of bf16 and of bytes each count at their own peak; bytes in order at the read bandwidth, value rows at the
  bandwidth of rows from memory, key rows at that of rows from the cache that holds them. Scores run on bytes in either precision; products of
  bf16 weights on pairs of bf16 where there are more than six tokens.
- The layer gathers and projects in one launch where there are more than 16 tokens; alone they are two.
- The read bandwidth is of memory. Weights of this layer (12 MiB in f32) stay in the caches between calls, so shares of it may
  be above 100 %; in a model with many layers they would come from memory.
- The products of the scores are what scores and top-m does before it chooses: the difference is top-m with the exact
  scores of the few keys that may be among the best. Re-score alone does not ask for value rows ahead; in the layer it does.`;

function text({ stages, limits, lanes }: StagesResults): string {
  const giga = ({ median, best }: Limit): string =>
    best === 0 ? 'none' : `${rounded(median / 1e9)} (${rounded(best / 1e9)})`;
  const limitTable = table(
    [
      ...['T', 'threads', 'f32 GFLOP/s', 'bf16 pairs GFLOP/s', 'bytes GOP/s', 'read GB/s'],
      ...['value rows f32 GB/s', 'value rows bf16 GB/s', 'key rows f32 GB/s', 'key rows bf16 GB/s'],
    ],
    limits.map(({ T, threads, ...all }) => [
      ...[`${T}`, `${threads}`],
      ...[
        all.f32Flops,
        all.bf16Flops,
        all.byteOps,
        all.read,
        all.gatherF32,
        all.gatherBf16,
        all.keysF32,
        all.keysBf16,
      ].map(giga),
    ]),
  );
  const columns = ['µs', 'Mflop', 'MB', 'share', 'bound by'];
  const head = ['T', 'threads', 'stage', ...columns.map((c) => `f32 ${c}`), ...columns.map((c) => `bf16 ${c}`)];
  const of = (stage: Stage): string[] => [
    `${rounded(stage.median)} (${rounded(stage.min)})`,
    rounded((stage.f32Flops + stage.bf16Flops + stage.byteOps) / 1e6),
    rounded((stage.streamed + stage.gathered + stage.keyRows) / 1e6),
    percent(stage.share),
    stage.bound,
  ];
  const wide = stages.filter(({ precision }) => precision === 'f32');
  const rows = wide.map((stage) => {
    const same = ({ precision, threads, T, stage: name }: Stage): boolean =>
      precision === 'bf16' && threads === stage.threads && T === stage.T && name === stage.stage;
    return [`${stage.T}`, `${stage.threads}`, stage.stage, ...of(stage), ...of(stages.find(same)!)];
  });
  return `Limits by ${lanes} floats at once, measured in the rounds of each T: median (most).

${limitTable}

${table(head, rows, ['stage', 'f32 bound by', 'bf16 bound by'])}

${note}`;
}
