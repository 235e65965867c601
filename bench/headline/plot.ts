// The two figures of the headline comparison, as SVG and PNG, from the results of `npm run bench -- --only headline --json FILE`: milliseconds of a step
// and bytes that it reads, over the batch. And the tables of the same file, as Markdown.
//
//   npm --prefix bench run headline-plot [-- results.json folder]

import { readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, resolve } from 'node:path';
import { Resvg } from '@resvg/resvg-js';
import { parse, View } from 'vega';
import { compile, type TopLevelSpec } from 'vega-lite';
import { fromRoot } from '../paths.ts';
import type { HeadlineRate, HeadlineResults } from './results.ts';
import { kinds, titles } from './shapes.ts';
import { allBytes, headlineText } from './text.ts';

interface File {
  readonly machine: string;
  readonly settings: { readonly rounds: number };
  readonly headline: HeadlineResults;
}

const [from = fromRoot('bench/headline/results.json'), to = dirname(resolve(from))] = process.argv.slice(2);
const { machine, settings, headline } = JSON.parse(await readFile(from, 'utf8')) as File;

const FONT = 'DejaVu Sans';
const fonts = dirname(createRequire(import.meta.url).resolve('dejavu-fonts-ttf/package.json'));
const colors = { dense: '#7f7f7f', moe: '#d95f02', ultramem: '#1b6ca8' } as const;

/** A curve for each decoder over the batch, a panel for each of `panels`, both axes logarithmic. */
function figure(y: string, panels: string, values: readonly object[]): TopLevelSpec {
  const batches = [...new Set(headline.rates.map(({ batch }) => batch))].sort((a, b) => a - b);
  return {
    data: { values: [...values] },
    facet: { column: { field: panels, type: 'nominal', title: null, sort: null } },
    spec: {
      width: 280,
      height: 230,
      mark: { type: 'line', point: { filled: true, size: 45 } },
      encoding: {
        x: {
          field: 'batch',
          type: 'quantitative',
          scale: { type: 'log', base: 2 },
          axis: { values: batches, format: 'd', grid: false, title: 'sequences, one token of each a step' },
        },
        y: { field: 'y', type: 'quantitative', scale: { type: 'log' }, axis: { title: y, format: '~g', tickCount: 6 } },
        color: {
          field: 'decoder',
          type: 'nominal',
          title: null,
          scale: { domain: kinds.map((kind) => titles[kind]), range: kinds.map((kind) => colors[kind]) },
        },
      },
    },
    resolve: { scale: { y: 'shared' } },
    background: 'white',
    config: { font: FONT },
  };
}

async function draw(name: string, spec: TopLevelSpec): Promise<void> {
  const view = new View(parse(compile(spec).spec), { renderer: 'none' });
  const svg = await view.toSVG();
  view.finalize();
  // The same font everywhere, whatever the machine has.
  const font = { fontFiles: [resolve(fonts, 'ttf/DejaVuSans.ttf'), resolve(fonts, 'ttf/DejaVuSans-Bold.ttf')] };
  const png = new Resvg(svg, {
    font: { ...font, loadSystemFonts: false, defaultFontFamily: FONT },
    fitTo: { mode: 'zoom', value: 1.5 },
  });
  await writeFile(resolve(to, `${name}.svg`), `${svg}\n`);
  await writeFile(resolve(to, `${name}.png`), png.render().asPng());
}

const points = (panel: (rate: HeadlineRate) => string, y: (rate: HeadlineRate) => number): object[] =>
  headline.rates.map((rate) => ({ panel: panel(rate), batch: rate.batch, decoder: titles[rate.kind], y: y(rate) }));
const ofLength = ({ length }: HeadlineRate): string => `length ${length}`;

await draw(
  'time',
  figure(
    'milliseconds a step',
    'panel',
    points(ofLength, ({ milliseconds }) => milliseconds),
  ),
);
const lengths = Math.min(...headline.rates.map(({ length }) => length));
const paper = headline.rates
  .filter(({ length }) => length === lengths)
  .map(({ batch, kind, bytes }) => ({
    panel: 'as the paper counts',
    batch,
    decoder: titles[kind],
    y: bytes.paper / 1e9,
  }));
await draw(
  'bytes',
  figure('GB read a step', 'panel', [
    ...paper,
    ...points(
      (rate) => `everything, ${ofLength(rate)}`,
      (rate) => allBytes(rate) / 1e9,
    ),
  ]),
);
await writeFile(
  resolve(to, 'RESULTS.md'),
  `# The headline comparison, as measured

${machine}; ${settings.rounds} rounds. What is measured and what it shows: [../README.md](../README.md#the-headline).

![Milliseconds of a step over the batch](time.png)

![Bytes that a step reads over the batch](bytes.png)

${headlineText(headline)}
`,
);
