// The memory of a step over time: launches from left to right, bytes of the arena from the bottom up, a rectangle per buffer.

import type { Buffer, Schedule } from '../plan/types.ts';
import type { KernelData } from './data.ts';
import { type Html, html } from './html.ts';
import { byteText } from './numbers.ts';

const WIDTH = 1000;
const HEIGHT = 300;
const LEFT = 70;
const BOTTOM = 22;
const TOP = 18;

/** The arena of a step as a chart. `name` is that of the step. */
export function memoryChart(
  name: string,
  { buffers, bytes }: Pick<Schedule, 'buffers' | 'bytes'>,
  kernels: readonly KernelData[],
  writers: ReadonlyMap<string, number>,
): Html {
  const arena = buffers.filter(({ space }) => space === 'arena');
  const x = (launch: number): number => LEFT + ((WIDTH - LEFT) * launch) / Math.max(1, kernels.length);
  const y = (byte: number): number => TOP + HEIGHT - (HEIGHT * byte) / Math.max(1, bytes);
  const live = kernels.map((_, i) =>
    arena.reduce((n, { first, last, bytes }) => (first <= i && i <= last ? n + bytes : n), 0),
  );
  const most = Math.max(0, ...live);
  const peak = live.indexOf(most);
  const line = live.flatMap((byte, i) => [`${round(x(i))},${round(y(byte))}`, `${round(x(i + 1))},${round(y(byte))}`]);
  const summary = `Arena of the step ${name}: ${arena.length} buffers in ${byteText(bytes)}; at most ${byteText(most)} are in use at once, at launch ${peak}.`;
  return html`<figure class="memory" data-step="${name}">
<svg viewBox="0 0 ${WIDTH} ${HEIGHT + TOP + BOTTOM}" role="group" aria-labelledby="memory-${name}-title">
<title id="memory-${name}-title">${summary}</title>
${ticks(bytes).map((byte) => html`<g class="tick"><line x1="${LEFT}" x2="${WIDTH}" y1="${round(y(byte))}" y2="${round(y(byte))}"/><text x="${LEFT - 6}" y="${round(y(byte) + 4)}" text-anchor="end">${byteText(byte)}</text></g>`)}
${arena.map((buffer) => rectangle(buffer, x, y, kernels[writers.get(buffer.name) ?? -1]?.family ?? 0))}
<polyline class="live" points="${line.join(' ')}"/>
<g class="peak"><line x1="${round(x(peak + 0.5))}" x2="${round(x(peak + 0.5))}" y1="${TOP - 6}" y2="${TOP + HEIGHT}"/><text x="${round(clamped(x(peak + 0.5), LEFT + 90, WIDTH - 90))}" y="${TOP - 8}" text-anchor="middle">most in use: ${byteText(most)}</text></g>
${launchTicks(kernels.length).map((launch) => html`<text class="tick" x="${round(x(launch))}" y="${HEIGHT + TOP + 16}">${launch}</text>`)}
</svg>
<figcaption>${summary} Sizes are those of the most tokens that the step serves; the line is what is in use.</figcaption>
</figure>`;
}

function rectangle(
  { name, holds, bytes, offset, first, last }: Buffer,
  x: (launch: number) => number,
  y: (byte: number) => number,
  family: number,
): Html {
  const [left, top] = [x(first), y(offset + bytes)];
  const label = `${name}, ${holds}: ${byteText(bytes)} from byte ${offset.toLocaleString('en-US')}, launches ${first} to ${last}`;
  return html`<rect class="buffer" role="button" tabindex="-1" aria-label="${label}" data-family="${family}" data-first="${first}" x="${round(left)}" y="${round(top)}" width="${round(Math.max(1, x(last + 1) - left))}" height="${round(Math.max(1, y(offset) - top))}"/>\n`;
}

/** Round numbers of bytes up to a size, four or so. */
function ticks(bytes: number): number[] {
  const step = 2 ** Math.ceil(Math.log2(Math.max(64, bytes) / 4));
  return Array.from({ length: Math.floor(bytes / step) + 1 }, (_, i) => i * step);
}

/** Launches to mark, ten or so. */
function launchTicks(count: number): number[] {
  const step = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000].find((size) => count / size <= 12) ?? 2000;
  return Array.from({ length: Math.ceil(count / step) }, (_, i) => i * step);
}

const clamped = (n: number, least: number, most: number): number => Math.min(most, Math.max(least, n));
const round = (n: number): number => Math.round(100 * n) / 100;
