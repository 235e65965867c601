// One UltraMem V1 layer, compiled by this project, against ONNX Runtime, in one process and in turn.
//
//   npm --prefix bench ci && npm --prefix bench run layer [-- --tokens 1,64 --threads 1 --rounds 5 --json out.json]

import { writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { markdownTable } from 'markdown-table';
import { model } from 'ultramem';
import { compile } from 'ultramem/compile';
import { ultramemV1 } from 'ultramem/models';
import { type Contender, inRounds, ratioOf } from 'ultramem/profile';
import { openNative, requireAddon, type Tensor } from 'ultramem/runtime';
import { layerOnnx } from './layer-onnx.ts';
import { type LayerWeights, layerWeights, Random, sizes } from './layer-weights.ts';
import { machine } from './machine.ts';

/** As much of onnxruntime-node as is used. */
interface OnnxRuntime {
  readonly Tensor: new (dtype: 'float32', data: Float32Array, shape: readonly number[]) => unknown;
  readonly InferenceSession: {
    create(model: Uint8Array, options: Record<string, unknown>): Promise<OnnxSession>;
  };
}
interface OnnxSession {
  run(feeds: Record<string, unknown>): Promise<Record<string, { readonly data: Float32Array }>>;
  release(): Promise<void>;
}

/** A layer that is ready to run: on input number i, by name. */
interface Engine {
  readonly name: string;
  /** Computes the same as the first but for the order of sums; else weights are rounded, and choices may fall otherwise. */
  readonly exact: boolean;
  run(input: Tensor<'f32'>): Promise<Float32Array>;
  dispose(): Promise<void>;
}

// So many inputs go round that a call's table rows are not those of the last one.
const INPUTS = 16;

const { values: flags } = parseArgs({
  options: {
    tokens: { type: 'string', default: '1,16,64,256' },
    threads: { type: 'string', default: '1,2' },
    rounds: { type: 'string', default: '9' },
    seconds: { type: 'string', default: '0.2' },
    json: { type: 'string' },
  },
});
const weights = layerWeights(sizes, 1);
const onnxRuntime = createRequire(import.meta.url)('onnxruntime-node') as OnnxRuntime;
const exported = layerOnnx(sizes, weights, { folded: false });
const folded = layerOnnx(sizes, weights, { folded: true });
console.log(`${machine()}\nONNX graphs of ${exported.nodes} nodes as exported, ${folded.nodes} folded by hand`);

const names = ['ultramem', 'ultramem, bf16', 'ONNX Runtime', 'ONNX Runtime, folded by hand'] as const;
const results: object[] = [];
const rows: string[][] = [];
for (const threads of flags.threads.split(',').map(Number)) {
  const engines = [
    await ultramem(weights, threads, 'f32'),
    await ultramem(weights, threads, 'bf16'),
    await onnx(names[2], exported.bytes, threads),
    await onnx(names[3], folded.bytes, threads),
  ];
  for (const T of flags.tokens.split(',').map(Number)) {
    const random = new Random(T);
    const inputs = Array.from({ length: INPUTS }, () => random.normals([T, sizes.width]));
    const agreement = await compare(engines, inputs[0]!);
    const contenders = engines.map(({ name, run }): Contender => ({ name, call: (i) => run(inputs[i % INPUTS]!) }));
    const timings = await inRounds(contenders, {
      rounds: Number(flags.rounds),
      seconds: Number(flags.seconds),
    });
    const peers = timings.slice(2);
    const ratios = timings.slice(0, 2).flatMap((own) => peers.map((peer) => ratioOf(peer, own)));
    results.push({ T, threads, timings, ratios, agreement });
    console.error(
      `T = ${T}, threads ${threads}: outputs differ by ${agreement.map((d) => d.toExponential(1)).join(', ')}`,
    );
    rows.push([
      `${T}`,
      `${threads}`,
      ...timings.map(({ median, min, spread }) => `${rounded(median)} (${rounded(min)}; ±${rounded(spread / 2)})`),
      ...ratios.map(({ median, low, high }) => `${rounded(median)} (${rounded(low)} – ${rounded(high)})`),
    ]);
  }
  for (const engine of engines) await engine.dispose();
}
const ratioNames = names.slice(0, 2).flatMap((own) => names.slice(2).map((peer) => `${peer} / ${own}`));
console.log(
  markdownTable([['T', 'threads', ...names.map((name) => `${name}, ms`), ...ratioNames], ...rows], { align: 'r' }),
);
if (flags.json !== undefined)
  await writeFile(flags.json, JSON.stringify({ machine: machine(), sizes, results }, null, 2));

async function ultramem(weights: LayerWeights, threads: number, precision: 'f32' | 'bf16'): Promise<Engine> {
  const layer = model('bench-layer', (m) => {
    const x = m.input('x', [m.symbol('T'), sizes.width]);
    m.output('y', ultramemV1(m, x, sizes));
  });
  const outDir = fileURLToPath(new URL(`../out/bench/layer-${precision}`, import.meta.url));
  const { addon } = await compile(layer, { outDir, precision });
  const { native, session } = await openNative(requireAddon(pathToFileURL(addon).href, basename(addon)), weights, {
    threads,
    copy: true,
  });
  return {
    name: names[precision === 'f32' ? 0 : 1],
    exact: precision === 'f32',
    run: async (x) => (await session.forward({ x })).y!.data as Float32Array,
    async dispose() {
      await session[Symbol.asyncDispose]();
      native.dispose();
    },
  };
}

async function onnx(name: string, bytes: Uint8Array, threads: number): Promise<Engine> {
  const session = await onnxRuntime.InferenceSession.create(bytes, {
    executionProviders: ['cpu'],
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
    interOpNumThreads: 1,
    intraOpNumThreads: threads,
  });
  return {
    name,
    exact: true,
    run: async ({ data, shape }) => (await session.run({ x: new onnxRuntime.Tensor('float32', data, shape) })).y!.data,
    dispose: () => session.release(),
  };
}

/** Relative l2 distance of each other engine's output from the first one's, the median over tokens. */
async function compare([first, ...others]: readonly Engine[], input: Tensor<'f32'>): Promise<number[]> {
  const wanted = (await first!.run(input)).slice();
  const distances: number[] = [];
  for (const other of others) {
    const got = await other.run(input);
    // Where scores are closer than rounding, a token may keep another row; so not one number over all tokens.
    const perToken = Array.from({ length: input.shape[0]! }, (_, t) => {
      let [difference, size] = [0, 0];
      for (let d = t * sizes.width; d < (t + 1) * sizes.width; d++) {
        difference += (got[d]! - wanted[d]!) ** 2;
        size += wanted[d]! ** 2;
      }
      return Math.sqrt(difference / size);
    });
    const far = perToken.filter((distance) => !(distance < 1e-5)).length;
    if (other.exact && far > 0)
      console.log(`${other.name}: ${far} of ${perToken.length} tokens differ by more than 1e-5`);
    const middle = perToken.sort((a, b) => a - b)[perToken.length >> 1]!;
    const wrong = other.exact ? far > perToken.length / 10 : !(middle < 0.3);
    if (wrong) throw new Error(`${other.name} computes something else`);
    distances.push(middle);
  }
  return distances;
}

function rounded(value: number): number {
  return Number(value.toPrecision(3));
}
