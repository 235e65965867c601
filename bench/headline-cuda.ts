// The headline comparison on a GPU: milliseconds of a decode step as one JSON value and a table, without the bytes that the CPU's plan counts.
//
//   npm --prefix bench run headline-cuda [-- results.json]

import { writeFile } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { compile } from 'ultramem/compile';
import { loadNative, requireAddon, Session, sessionSymbols } from 'ultramem/runtime';
import { rounded, table } from './figures.ts';
import type { Open } from './headline/decode.ts';
import type { HeadlineRate } from './headline/results.ts';
import { headlineModel, kinds, shapes151m, titles } from './headline/shapes.ts';
import { measureHeadline } from './parts/headline.ts';
import { fromRoot } from './paths.ts';

const settings = {
  ...{ threads: [1], tokens: [], batches: [1, 4, 16, 64, 256], lengths: [128, 2048], rounds: 5, seconds: 0.2 },
  progress: (text: string) => console.error(`${(performance.now() / 1000).toFixed(0)} s: ${text}`),
};
/** Bytes that caches and weights may take together, counted as f32; a device stores caches as bf16. */
const ROOM = 100e9;

const options = (name: string) => ({
  outDir: fromRoot(`out/bench/${name}-cuda`),
  precision: 'bf16' as const,
  target: 'cuda' as const,
});

const open: Open = async (model, weights, sequences) => {
  const { addon } = await compile(model, options(model.name));
  const native = await loadNative(requireAddon(pathToFileURL(addon).href, basename(addon)), weights);
  const session = new Session(native.openEngine(sessionSymbols(native.model, { maxSequences: sequences })));
  return {
    session,
    dispose() {
      session.dispose();
      native.dispose();
    },
  };
};

// nvcc leaves cores idle: all decoders side by side.
settings.progress('compiling');
const models = settings.lengths.flatMap((length) =>
  kinds.map((kind) => headlineModel(shapes151m, kind, length, Math.max(...settings.batches))),
);
await Promise.all(models.map((model) => compile(model, options(model.name))));
const { results } = await measureHeadline(settings, {
  ...{ shapes: shapes151m, open, room: ROOM },
  openBandwidth: async () => ({ measure: async () => Number.NaN, dispose: () => {} }),
});
const rates = results.rates.map(({ bandwidth: _, bytes, ...rate }) => ({ ...rate, paperBytes: bytes.paper }));
const [path = 'headline-cuda.json'] = process.argv.slice(2);
await writeFile(resolve(path), JSON.stringify({ settings, rates, skipped: results.skipped }));

type Row = Pick<HeadlineRate, 'kind' | 'milliseconds' | 'rounds'>;
const cell = ({ milliseconds, rounds }: Row): string => `${rounded(milliseconds)} (${rounded(Math.min(...rounds))})`;
for (const length of settings.lengths) {
  const rows = settings.batches.flatMap((batch) => {
    const own = rates.filter((rate) => rate.length === length && rate.batch === batch);
    const [dense, moe, ultramem] = kinds.map((kind) => own.find((rate) => rate.kind === kind));
    if (!dense || !moe || !ultramem) return [];
    const ratio = (a: Row, b: Row): string => rounded(a.milliseconds / b.milliseconds);
    return [[String(batch), cell(dense), cell(moe), cell(ultramem), ratio(moe, ultramem), ratio(ultramem, dense)]];
  });
  const head = ['batch', ...kinds.map((kind) => titles[kind]), 'MoE / UltraMem', 'UltraMem / dense'];
  console.log(`${length} positions, milliseconds (least)\n\n${table(head, rows)}\n`);
}
