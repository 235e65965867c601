// One UltraMem V1 layer, compiled by this project, against ONNX Runtime, in one process and in turn.

import { type Contender, inRounds, type Ratio, ratioOf, type Timing } from 'ultramem/profile';
import type { Tensor } from 'ultramem/runtime';
import { rounded, table } from '../figures.ts';
import { compiledLayer, type LayerEngine, onnxLayer } from '../layer-engines.ts';
import { layerOnnx } from '../layer-onnx.ts';
import { layerWeights, Random, sizes } from '../layer-weights.ts';
import type { Measured, Settings } from '../settings.ts';

/** A step of T tokens by every engine. */
export interface LayerStep {
  readonly T: number;
  readonly threads: number;
  /** Milliseconds per step: ours in f32 and in bf16, the peer's graph as exported and folded by hand. */
  readonly timings: readonly Timing[];
  readonly ratios: readonly (Ratio & { readonly of: string; readonly to: string })[];
  /** How far the others' outputs lie from the first one's. */
  readonly differences: readonly Difference[];
}

export interface Difference {
  readonly name: string;
  /** Relative l2 distance of a token's output, the median over tokens. */
  readonly median: number;
  /** Tokens that differ by more than 1e-5, of the step's T. */
  readonly far: number;
}

export interface LayerResults {
  readonly sizes: typeof sizes;
  readonly steps: readonly LayerStep[];
}

/** So many inputs go round that a call's table rows are not those of the last one. */
const INPUTS = 16;

/** @throws Error where an engine computes something else */
export async function measureLayer(settings: Settings): Promise<Measured<LayerResults>> {
  const weights = layerWeights(sizes, 1);
  const exported = layerOnnx(sizes, weights, { folded: false });
  const folded = layerOnnx(sizes, weights, { folded: true });
  const steps: LayerStep[] = [];
  for (const threads of settings.threads) {
    const engines: LayerEngine[] = [];
    try {
      engines.push(await compiledLayer(weights, threads, 'f32'), await compiledLayer(weights, threads, 'bf16'));
      engines.push(await onnxLayer('ONNX Runtime', exported.bytes, threads));
      engines.push(await onnxLayer('ONNX Runtime, folded by hand', folded.bytes, threads));
      for (const T of settings.tokens) {
        settings.progress(`T = ${T}, threads ${threads}`);
        steps.push(await measureStep(engines, T, threads, settings));
      }
    } finally {
      for (const engine of engines) await engine.dispose();
    }
  }
  const nodes = `ONNX graphs of ${exported.nodes} nodes as exported, ${folded.nodes} folded by hand.`;
  return { markdown: `${nodes}\n\n${text(steps)}`, results: { sizes, steps } };
}

async function measureStep(
  engines: readonly LayerEngine[],
  T: number,
  threads: number,
  { rounds, seconds }: Settings,
): Promise<LayerStep> {
  const random = new Random(T);
  const inputs = Array.from({ length: INPUTS }, () => random.normals([T, sizes.width]));
  const differences = await compare(engines, inputs[0]!);
  const contenders = engines.map(({ name, run }): Contender => ({ name, call: (i) => run(inputs[i % INPUTS]!) }));
  const timings = await inRounds(contenders, { rounds, seconds });
  const [own, peers] = [timings.slice(0, 2), timings.slice(2)];
  const ratios = own.flatMap((to) => peers.map((of) => ({ of: of.name, to: to.name, ...ratioOf(of, to) })));
  return { T, threads, timings, ratios, differences };
}

async function compare(
  [first, ...others]: readonly LayerEngine[],
  input: Tensor<'f32'>,
): Promise<readonly Difference[]> {
  const wanted = (await first!.run(input)).slice();
  const differences: Difference[] = [];
  for (const { name, exact, run } of others) {
    // Where scores are closer than rounding, a token may keep another row; so not one number over all tokens.
    const distances = distancePerToken(await run(input), wanted).sort((a, b) => a - b);
    const median = distances[distances.length >> 1]!;
    const far = distances.filter((distance) => !(distance < 1e-5)).length;
    if (exact ? far > distances.length / 10 : !(median < 0.3)) throw new Error(`${name} computes something else`);
    differences.push({ name, median, far });
  }
  return differences;
}

function distancePerToken(got: Float32Array, wanted: Float32Array): number[] {
  return Array.from({ length: wanted.length / sizes.width }, (_, t) => {
    let [difference, size] = [0, 0];
    for (let d = t * sizes.width; d < (t + 1) * sizes.width; d++) {
      difference += (got[d]! - wanted[d]!) ** 2;
      size += wanted[d]! ** 2;
    }
    return Math.sqrt(difference / size);
  });
}

function text(steps: readonly LayerStep[]): string {
  const [first] = steps;
  if (first === undefined) return '';
  const head = [
    ...['T', 'threads', ...first.timings.map(({ name }) => `${name}, ms`)],
    ...first.ratios.map(({ of, to }) => `${of} / ${to}`),
  ];
  const rows = steps.map(({ T, threads, timings, ratios }) => [
    ...[`${T}`, `${threads}`],
    ...timings.map(({ median, min, spread }) => `${rounded(median)} (${rounded(min)}; ±${rounded(spread / 2)})`),
    ...ratios.map(({ median, low, high }) => `${rounded(median)} (${rounded(low)} – ${rounded(high)})`),
  ]);
  const worst = first.differences.map(({ name }, i) => {
    const all = steps.map(({ differences }) => differences[i]!);
    const far = all.reduce((sum, difference) => sum + difference.far, 0);
    const tokens = steps.reduce((sum, { T }) => sum + T, 0);
    return `${name} ${Math.max(...all.map(({ median }) => median)).toExponential(1)} (${far} of ${tokens} tokens beyond 1e-5)`;
  });
  return `${table(head, rows)}

Milliseconds per step: median (least; ± half of how far rounds lie apart). Ratios: median over rounds (range); above 1 in our favour.
Outputs differ from ours in f32 by, relative l2, the median over tokens: ${worst.join(', ')}.`;
}
