// The paper's headline: decode steps of a dense decoder, a mixture of experts and UltraMem, of equal computation, over batches; and the bytes that
// they read (UltraMem §5).

import { basename } from 'node:path';
import { pathToFileURL } from 'node:url';
import { compile, translate } from 'ultramem/compile';
import { median } from 'ultramem/profile';
import { loadNative, requireAddon, Session, sessionSymbols } from 'ultramem/runtime';
import { countedBytes, paperBytes, weightBytes } from '../headline/bytes.ts';
import { Decode, type Distinct, type Open, type TimedStep } from '../headline/decode.ts';
import { freeMemory, type Pass, planPasses } from '../headline/passes.ts';
import { randomDecoder } from '../headline/random-decoder.ts';
import type { HeadlineRate, HeadlineResults } from '../headline/results.ts';
import { headlineModel, type Kind, kinds, type Shapes, shapes151m } from '../headline/shapes.ts';
import { headlineText } from '../headline/text.ts';
import { fromRoot } from '../paths.ts';
import { openReadBandwidth, type ReadBandwidth } from '../read-bandwidth.ts';
import type { Measured, Settings } from '../settings.ts';
import type { CpuPlan } from '../step-bytes.ts';

/** What a test puts in place of the real thing. */
export interface HeadlineChoices {
  readonly shapes: Shapes;
  readonly open: Open;
  readonly openBandwidth: (threads: number) => Promise<ReadBandwidth>;
  /** Bytes of memory that may be taken; default: what is free. */
  readonly room?: number;
}

/** @throws what compiling, loading and writing the weights throw */
export async function measureHeadline(
  settings: Settings,
  choices: HeadlineChoices = { shapes: shapes151m, open: openCompiled, openBandwidth: openReadBandwidth },
): Promise<Measured<HeadlineResults>> {
  const { shapes } = choices;
  const { layers, width } = shapes;
  const rates: HeadlineRate[] = [];
  const skipped: HeadlineResults['skipped'][number][] = [];
  const threads = Math.max(...settings.threads);
  settings.progress('random weights');
  const weights = recordOf((kind, i) => randomDecoder(headlineModel(shapes, kind, 1, 1), layers, i + 1));
  for (const length of settings.lengths) {
    const planned = planPasses(settings.batches, {
      weights: recordOf((kind) => weightBytes(shapes, kind)),
      sequence: 2 * layers * width * length * Float32Array.BYTES_PER_ELEMENT,
      room: choices.room ?? (await freeMemory()),
    });
    for (const { batch, why } of planned.skipped)
      settings.progress(`length ${length}, batch ${batch} left out: ${why}`);
    skipped.push(...planned.skipped.map((one) => ({ ...one, length })));
    for (const pass of planned.passes) {
      rates.push(...(await measurePass(pass, length, threads, settings, choices, weights)));
    }
  }
  const results = { shapes, threads, rates, skipped };
  return { markdown: headlineText(results), results };
}

type Weights = Parameters<Open>[1];

const recordOf = <V>(value: (kind: Kind, i: number) => V): Readonly<Record<Kind, V>> =>
  Object.fromEntries(kinds.map((kind, i) => [kind, value(kind, i)])) as Record<Kind, V>;

const openCompiled: Open = async (model, weights, sequences, threads) => {
  const { addon } = await compile(model, { outDir: fromRoot(`out/bench/${model.name}`), precision: 'bf16' });
  const native = await loadNative(requireAddon(pathToFileURL(addon).href, basename(addon)), weights, {
    threads,
  });
  const session = new Session(native.openEngine(sessionSymbols(native.model, { maxSequences: sequences }), threads));
  return {
    session,
    dispose() {
      session.dispose();
      native.dispose();
    },
  };
};

/** One decoder of a pass, open. */
interface Contender {
  readonly kind: Kind;
  readonly plan: CpuPlan;
  readonly decode: Decode;
  /** Of every batch, round by round. */
  readonly rounds: ReadonlyMap<number, TimedStep[][]>;
  dispose(): void;
}

async function measurePass(
  { kinds, batches }: Pass,
  length: number,
  threads: number,
  settings: Settings,
  choices: HeadlineChoices,
  weights: Readonly<Record<Kind, Weights>>,
): Promise<readonly HeadlineRate[]> {
  const contenders: Contender[] = [];
  const bandwidths: number[] = [];
  const memory = await choices.openBandwidth(threads);
  try {
    for (const kind of kinds)
      contenders.push(await contend(kind, batches, length, threads, settings, choices, weights));
    for (let round = 0; round < settings.rounds; round++) {
      settings.progress(`${kinds.join(', ')}, length ${length}: round ${round + 1} of ${settings.rounds}`);
      for (const batch of batches) {
        for (const { decode, rounds } of contenders)
          rounds.get(batch)!.push(await stepsOf(decode, batch, settings.seconds));
      }
      bandwidths.push(await memory.measure());
    }
  } finally {
    memory.dispose();
    for (const contender of contenders) contender.dispose();
  }
  return batches.flatMap((batch) =>
    contenders.map(({ kind, plan, rounds }): HeadlineRate => {
      const steps = rounds.get(batch)!;
      const own = steps.map((round) => median(round.map(({ milliseconds }) => milliseconds)));
      const distinct = meanOf(steps.flat().map((step) => step.distinct));
      return {
        ...{ kind, length, batch, together: contenders.length > 1, distinct },
        ...{ milliseconds: median(own), rounds: own, bandwidth: median(bandwidths) },
        bytes: {
          paper: paperBytes(choices.shapes, kind, batch),
          ...countedBytes(plan, batch, length, distinct),
        },
      };
    }),
  );
}

async function contend(
  kind: Kind,
  batches: readonly number[],
  length: number,
  threads: number,
  { progress, batches: all }: Settings,
  { shapes, open }: HeadlineChoices,
  weights: Readonly<Record<Kind, Weights>>,
): Promise<Contender> {
  const sequences = Math.max(...batches);
  progress(`${kind}, length ${length}, ${sequences} sequences: compiling and loading`);
  const model = headlineModel(shapes, kind, length, Math.max(...all));
  const { session, dispose } = await open(model, weights[kind], sequences, threads);
  try {
    const decode = new Decode(session, { length, rows: shapes.memory.knum ** 2 });
    progress(`${kind}: filling caches`);
    await decode.fill(sequences);
    const plan = translate(model, { precision: 'bf16' }).plan as CpuPlan;
    return { kind, plan, decode, rounds: new Map(batches.map((batch) => [batch, []])), dispose };
  } catch (error) {
    dispose();
    throw error;
  }
}

/** Steps for so many seconds, three at least, after one that does not count. */
async function stepsOf(decode: Decode, batch: number, seconds: number): Promise<TimedStep[]> {
  await decode.step(batch);
  const steps: TimedStep[] = [];
  for (const until = performance.now() + 1000 * seconds; steps.length < 3 || performance.now() < until; ) {
    steps.push(await decode.step(batch));
  }
  return steps;
}

function meanOf(all: readonly Distinct[]): Distinct {
  const mean = (name: string): number => all.reduce((sum, one) => sum + one[name]!, 0) / all.length;
  return Object.fromEntries(Object.keys(all[0]!).map((name) => [name, mean(name)]));
}
