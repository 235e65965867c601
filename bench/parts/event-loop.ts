// How long the event loop is held while long steps run: how late a timer of 1 ms comes at most, and how long the loop is at work for
// a step. The first also shows how late the system gives a thread a core; the second does not.

import { basename } from 'node:path';
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { compile, loadModel } from 'ultramem/compile';
import { median } from 'ultramem/profile';
import { openNative, requireAddon } from 'ultramem/runtime';
import { rounded, table } from '../figures.ts';
import { compiledLayer, type LayerEngine, onnxLayer } from '../layer-engines.ts';
import { layerOnnx } from '../layer-onnx.ts';
import { layerWeights, Random, sizes } from '../layer-weights.ts';
import { fromRoot } from '../paths.ts';
import type { Measured, Settings } from '../settings.ts';

/** Milliseconds. */
export interface Held {
  readonly name: string;
  readonly threads: number;
  /** Of a step, the median of all. */
  readonly step: number;
  /** How late a timer of 1 ms came at most in a round: the median over rounds, the most, and the rounds. */
  readonly median: number;
  readonly max: number;
  readonly rounds: readonly number[];
  /** That the loop was at work for a step: the median over rounds. */
  readonly busy: number;
}

export interface EventLoopResults {
  readonly held: readonly Held[];
}

/** A kind of step. */
interface LongStep {
  readonly name: string;
  call(): Promise<unknown>;
  dispose(): Promise<void>;
}

/** Tokens of the layer's steps; the longest that it takes. */
const TOKENS = [256, 512] as const;
const BYTES_LM_TOKENS = 512;

/**
 * Ours first: what the peer leaves in JavaScript's heap makes collecting it take longer, which holds the loop as well.
 * @throws what compiling and loading throw
 */
export async function measureEventLoop(settings: Settings): Promise<Measured<EventLoopResults>> {
  const held: Held[] = [];
  for (const open of [ownSteps, peerSteps]) {
    for (const threads of settings.threads) {
      const steps = await open(threads);
      try {
        held.push(...(await inTurn(steps, threads, settings)));
      } finally {
        for (const step of steps) await step.dispose();
      }
    }
  }
  return { markdown: text(held), results: { held } };
}

async function inTurn(
  steps: readonly LongStep[],
  threads: number,
  { rounds, seconds, progress }: Settings,
): Promise<readonly Held[]> {
  const figures = steps.map(({ name }) => ({
    name,
    times: [] as number[],
    rounds: [] as number[],
    busy: [] as number[],
  }));
  for (let round = 0; round < rounds; round++) {
    progress(`threads ${threads}, round ${round + 1} of ${rounds}`);
    for (const [s, step] of steps.entries()) {
      const { times, held, busy } = await watch(step, seconds);
      figures[s]!.times.push(...times);
      figures[s]!.rounds.push(held);
      figures[s]!.busy.push(busy);
    }
  }
  return figures.map(({ name, times, rounds, busy }) => ({
    ...{ name, threads, step: median(times) },
    ...{ median: median(rounds), max: Math.max(...rounds), rounds, busy: median(busy) },
  }));
}

/** What a round saw, in milliseconds: of each step, of the latest timer beyond its time, of the loop at work per step. */
interface Watched {
  readonly times: readonly number[];
  readonly held: number;
  readonly busy: number;
}

/** Steps for so many seconds, three at least; one before that is not counted. */
async function watch({ call }: LongStep, seconds: number): Promise<Watched> {
  await call();
  const delays = monitorEventLoopDelay({ resolution: 1 });
  delays.enable();
  await sleep(5); // the first delay is counted from here on
  delays.reset();
  const before = performance.eventLoopUtilization();
  const times: number[] = [];
  const end = performance.now() + 1000 * seconds;
  while (times.length < 3 || performance.now() < end) {
    const start = performance.now();
    await call();
    times.push(performance.now() - start);
  }
  const { active } = performance.eventLoopUtilization(before);
  await sleep(5); // a timer that is late has come by now
  delays.disable();
  return { times, held: Math.max(0, delays.max / 1e6 - 1), busy: active / times.length };
}

/** What timers are late by on this machine in any case. */
const nothing: LongStep = { name: 'nothing', call: () => sleep(10), dispose: async () => {} };

async function bytesLmStep(threads: number): Promise<LongStep> {
  const model = await loadModel(fromRoot('examples/bytes-lm/model.ts'));
  const { addon } = await compile(model, { outDir: fromRoot('out/bench/bytes-lm-f32') });
  const { native, session } = await openNative(
    requireAddon(pathToFileURL(addon).href, basename(addon)),
    fromRoot('examples/bytes-lm/ultramem-bytes.safetensors'),
    { threads, maxSequences: 2 },
  );
  // As many sequences as the tokens need.
  const below = session.model.inputs.find(({ name }) => name === 'positions')?.below;
  const context = Math.min(BYTES_LM_TOKENS, typeof below === 'number' ? below : BYTES_LM_TOKENS);
  const inputs = {
    ids: Int32Array.from({ length: BYTES_LM_TOKENS }, (_, i) => 97 + ((i * 7) % 26)),
    positions: Int32Array.from({ length: BYTES_LM_TOKENS }, (_, i) => i % context),
    sequence: Int32Array.from({ length: BYTES_LM_TOKENS }, (_, i) => Math.floor(i / context)),
  };
  return {
    name: `bytes-lm, T = ${BYTES_LM_TOKENS}`,
    call: () => session.forward(inputs),
    async dispose() {
      await session[Symbol.asyncDispose]();
      native.dispose();
    },
  };
}

async function ownSteps(threads: number): Promise<readonly LongStep[]> {
  const layer = await compiledLayer(layerWeights(sizes, 1), threads, 'f32');
  const steps = layerSteps(layer);
  // The same without garbage, which large outputs are otherwise: V8 collects after every 64 MiB or so of them.
  const placed = TOKENS.map((T): LongStep => {
    const x = new Random(T).normals([T, sizes.width]);
    const y = new Float32Array(T * sizes.width);
    const name = `one layer, T = ${T}, ${layer.name}, output given`;
    return { name, call: () => layer.run(x, y), dispose: async () => {} };
  });
  return [nothing, await bytesLmStep(threads), ...placed, ...steps];
}

async function peerSteps(threads: number): Promise<readonly LongStep[]> {
  const { bytes } = layerOnnx(sizes, layerWeights(sizes, 1), { folded: false });
  return layerSteps(await onnxLayer('ONNX Runtime', bytes, threads));
}

const layerSteps = ({ name, run, dispose }: LayerEngine): readonly LongStep[] =>
  TOKENS.map((T, i): LongStep => {
    const x = new Random(T).normals([T, sizes.width]);
    // The last of an engine's steps ends it.
    const end = i === TOKENS.length - 1 ? dispose : async () => {};
    return { name: `one layer, T = ${T}, ${name}`, call: () => run(x), dispose: end };
  });

function text(held: readonly Held[]): string {
  const rows = held.map(({ name, threads, step, busy, median, max }) => [
    ...[name, `${threads}`, ...[step, busy, median, max].map(rounded)],
  ]);
  return `${table(['while this runs', 'threads', 'a step, ms', 'loop at work for it, ms', 'held, median, ms', 'held, most, ms'], rows, ['while this runs'])}

At work: what the event loop itself did for a step, the timer included; the median over rounds. Held: how late a timer of 1 ms came at
most in a round; median over rounds, and the most of all. It counts as well how late the system gives the loop's thread a core, as
"nothing" shows.`;
}
