// One UltraMem V1 layer on a GPU, compiled by this project, and the same layer in PyTorch, where there are both.
//
//   npm --prefix bench run layer-cuda [-- --tokens 1,64 --rounds 5 --json out.json]

import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { markdownTable } from 'markdown-table';
import { model } from 'ultramem';
import { compile } from 'ultramem/compile';
import { ultramemV1 } from 'ultramem/models';
import { inRounds, median } from 'ultramem/profile';
import { openNative, requireAddon, type Tensor, tensor, writeSafetensors } from 'ultramem/runtime';
import { layerWeights, Random, sizes } from './layer-weights.ts';
import { machine } from './machine.ts';

const INPUTS = 16;
const precisions = ['f32', 'bf16'] as const;
type Precision = (typeof precisions)[number];

/** What layer.py prints. */
interface TorchReport {
  readonly torch: string;
  readonly device: string;
  readonly results: readonly {
    readonly T: number;
    readonly precision: Precision;
    readonly kind: 'eager' | 'compiled';
    readonly rounds: readonly number[];
    readonly distance: number;
  }[];
}

const { values: flags } = parseArgs({
  options: {
    tokens: { type: 'string', default: '1,16,64,256' },
    rounds: { type: 'string', default: '9' },
    seconds: { type: 'string', default: '0.2' },
    json: { type: 'string' },
  },
});
const tokens = flags.tokens.split(',').map(Number);
const rounds = Number(flags.rounds);
const seconds = Number(flags.seconds);
const weights = layerWeights(sizes, 1);
const layer = model('bench-layer', (m) => {
  const x = m.input('x', [m.symbol('T'), sizes.width]);
  m.output('y', ultramemV1(m, x, sizes));
});
const x = new Random(7).normals([INPUTS * Math.max(...tokens), sizes.width]);
const rows = (from: number, to: number): Tensor<'f32'> =>
  tensor('f32', [to - from, sizes.width], x.data.subarray(from * sizes.width, to * sizes.width));

const own: { T: number; precision: Precision; median: number; min: number }[] = [];
const y = new Float32Array(x.data.length);
for (const precision of precisions) {
  const outDir = fileURLToPath(new URL(`../out/bench/layer-cuda-${precision}`, import.meta.url));
  const { addon } = await compile(layer, { outDir, precision, target: 'cuda' });
  const { native, session } = await openNative(requireAddon(pathToFileURL(addon).href, basename(addon)), weights);
  const run = async (input: Tensor<'f32'>) => (await session.forward({ x: input })).y!.data as Float32Array;
  const contenders = tokens.map((T) => {
    const inputs = Array.from({ length: INPUTS }, (_, i) => rows(i * T, (i + 1) * T));
    return { name: `${T}`, call: (i: number) => run(inputs[i % INPUTS]!) };
  });
  const timings = await inRounds(contenders, { rounds, seconds });
  for (const [i, { median, min }] of timings.entries()) own.push({ T: tokens[i]!, precision, median, min });
  if (precision === 'f32') {
    const step = Math.max(...tokens);
    for (let from = 0; from < x.shape[0]!; from += step) {
      y.set(await run(rows(from, from + step)), from * sizes.width);
    }
  }
  await session[Symbol.asyncDispose]();
  native.dispose();
}

const torch = await runTorch();
const of = (kind: string, T: number, precision: Precision) =>
  torch.results.find((result) => result.kind === kind && result.T === T && result.precision === precision)!;
console.log(`${machine()}\n${torch.device}, PyTorch ${torch.torch}`);
const rounded = (value: number): string => `${Number(value.toPrecision(3))}`;
console.log(
  markdownTable(
    [
      [
        'T',
        'precision',
        'ultramem, ms (least)',
        'eager, ms',
        'torch.compile, ms',
        'eager / own',
        'compiled / own',
        'distance',
      ],
      ...own.map(({ T, precision, median: time, min }) => {
        const [eager, compiled] = [of('eager', T, precision), of('compiled', T, precision)];
        const times = [median(eager.rounds), median(compiled.rounds)] as const;
        const shown = [...times, times[0] / time, times[1] / time].map(rounded);
        return [`${T}`, precision, `${rounded(time)} (${rounded(min)})`, ...shown, eager.distance.toExponential(1)];
      }),
    ],
    { align: 'r' },
  ),
);
if (flags.json !== undefined) await writeFile(flags.json, JSON.stringify({ machine: machine(), own, torch }, null, 2));

/** The peer, in a process of its own, on the same weights and inputs. */
async function runTorch(): Promise<TorchReport> {
  const folder = await mkdtemp(join(tmpdir(), 'ultramem-bench-'));
  try {
    const file = join(folder, 'case.safetensors');
    await writeSafetensors(file, { ...weights, x, y: tensor('f32', x.shape, y) });
    const script = fileURLToPath(new URL('torch/layer.py', import.meta.url));
    const options = JSON.stringify({ ...sizes, tokens, rounds, seconds });
    const { stdout } = await promisify(execFile)('python3', [script, file, options], { maxBuffer: 1 << 24 });
    return JSON.parse(stdout.trim().split('\n').at(-1)!) as TorchReport;
  } finally {
    await rm(folder, { recursive: true });
  }
}
