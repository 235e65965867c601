// Bytes, operations and least time: the machine's figures, totals, and a row per kernel.

import { openKernel } from './details.js';
import { all, byId, make } from './elements.js';
import { repeatOfKernels, unfolded } from './map.js';
import { byteText, countText, percentText, timeText } from './numbers.js';
import { showRoofline } from './roofline.js';
import { change, counted, data, kinds, machineName, state, step, sum, whenShown, works } from './state.js';

/** @import { Child } from './elements.js' */
/** @import { Work } from './state.js' */

/** @typedef {'order' | 'time' | 'kind'} Order */

/** Rows by time that are shown; the rest is small. */
const mostRows = 200;

/** @returns {Order} */
const order = () =>
  /** @type {Order} */ (/** @type {HTMLInputElement} */ (document.querySelector('[name=order]:checked')).value);

function showWork() {
  const list = works();
  const total = {
    bytes: sum(list.map((w) => w.total)),
    flops: sum(list.map((w) => w.flops)),
    seconds: sum(list.map((w) => w.seconds)),
  };
  const { tokens, holds, written } = counted();
  /** @type {Record<string, string>} */
  const figures = {
    kernels: String(list.length),
    tokens: tokens === 1 ? '1 token' : `${tokens} tokens`,
    bytes: byteText(total.bytes),
    flops: countText(total.flops),
    written:
      written === undefined
        ? 'no kernels run it'
        : `${byteText(written.bytes)}, ${countText(written.flops)} operations`,
    time: timeText(total.seconds),
    rate: countText(tokens / total.seconds),
    machine: machineName(),
  };
  for (const place of all('[data-figure]')) place.textContent = figures[place.dataset.figure ?? ''] ?? '';
  const { name, minTokens, maxTokens } = step();
  const range = minTokens === maxTokens ? `T ${minTokens}` : `T ${minTokens} to ${maxTokens}`;
  byId('work-step').textContent = `A step of ${holds}, by the kernels of the step ${name} (${range}).`;
  const memory = sum(list.map((w) => (w.bound === 'memory' ? w.seconds : 0)));
  byId('totals').replaceChildren(
    ...[
      ['bytes', byteText(total.bytes)],
      ['operations', countText(total.flops)],
      ['least time, summed', timeText(total.seconds)],
      ['of it bound by memory', percentText(memory, total.seconds)],
      ['tokens a second at most', countText(tokens / total.seconds)],
    ].flatMap(([what, value]) => [make('dt', {}, what ?? ''), make('dd', {}, value ?? '')]),
  );
  byId('kernels').replaceChildren(table(list));
  showRoofline(list);
}

/** @param {Work[]} list */
function table(list) {
  const rows = { order: inOrder, time: byTime, kind: byKind }[order()](list);
  const most = {
    bytes: Math.max(...rows.map(({ total }) => total), 1),
    seconds: Math.max(...rows.map(({ seconds }) => seconds), 1e-12),
  };
  const headings = [
    ['launch', 'number'],
    ['kernel', ''],
    ['bytes', ''],
    ['', 'number'],
    ['operations', 'number'],
    ['least time', ''],
    ['', 'number'],
    ['bound by', ''],
  ];
  return make(
    'table',
    { class: 'work' },
    make(
      'thead',
      {},
      make('tr', {}, ...headings.map(([text, kind]) => make('th', { scope: 'col', class: kind }, text ?? ''))),
    ),
    make('tbody', {}, ...rows.map((row) => tableRow(row, most))),
  );
}

/**
 * @typedef {{ readonly launch: string, readonly name: Child, readonly bytes: readonly number[], readonly total: number,
 *   readonly flops: number, readonly seconds: number, readonly bound: string, readonly family: number | undefined, readonly kernel?: number }} TableRow
 */

/** @param {TableRow} row @param {{ readonly bytes: number, readonly seconds: number }} most */
function tableRow({ launch, name, bytes, total, flops, seconds, bound, family, kernel }, most) {
  const bar = make('span', { class: 'stack', 'aria-hidden': 'true' });
  for (const [i, one] of bytes.entries()) {
    if (one === 0) continue;
    const piece = make('span', { 'data-bytes': i, title: `${data.byteClasses[i]}: ${byteText(one)}` });
    piece.style.width = `${(100 * one) / most.bytes}%`;
    bar.append(piece);
  }
  const time = make('span', { class: 'time', 'aria-hidden': 'true' });
  time.style.width = `${(100 * seconds) / most.seconds}%`;
  return make(
    'tr',
    { 'data-row': kernel },
    make('td', { class: 'number' }, launch),
    make('th', { scope: 'row', 'data-family': family }, name),
    make('td', { class: 'wide' }, bar),
    make('td', { class: 'number' }, byteText(total)),
    make('td', { class: 'number' }, countText(flops)),
    make('td', { class: 'wide' }, time),
    make('td', { class: 'number' }, timeText(seconds)),
    make('td', {}, bound),
  );
}

/** @param {Work} work @returns {TableRow} */
function rowOf({ kernel, place, ...work }) {
  const button = make(
    'button',
    { type: 'button', class: 'kernel', 'data-family': kernel.family, 'data-kernel': place, title: kernel.computes },
    kernel.kernel,
  );
  button.addEventListener('click', () => openKernel({ list: 'step', place }));
  return { ...work, launch: String(place), name: button, family: kernel.family, kernel: place };
}

/** As they run; a row stands for the blocks of a repeat behind the first. @param {Work[]} list @returns {TableRow[]} */
function inOrder(list) {
  const hidden = repeatOfKernels();
  return list.flatMap((work, i) => {
    const repeat = hidden[i];
    if (repeat === undefined || unfolded.has(repeat)) return [rowOf(work)];
    if (hidden[i - 1] === repeat) return [];
    const { period, count } = step().repeats[repeat] ?? { period: 0, count: 0 };
    const again = list.slice(i, i + period * (count - 1));
    return [joined(again, `${i}–${i + again.length - 1}`, `the same again × ${count - 1}`, undefined)];
  });
}

/** @param {Work[]} list @returns {TableRow[]} */
const byTime = (list) =>
  [...list]
    .sort((a, b) => b.seconds - a.seconds)
    .slice(0, mostRows)
    .map(rowOf);

/** @param {Work[]} list @returns {TableRow[]} */
function byKind(list) {
  /** @type {Map<string, Work[]>} */
  const groups = new Map();
  for (const work of list) groups.set(work.kernel.kernel, [...(groups.get(work.kernel.kernel) ?? []), work]);
  const rows = [...groups].map(([name, group]) => joined(group, `× ${group.length}`, name, group[0]?.kernel.family));
  return rows.sort((a, b) => b.seconds - a.seconds);
}

/** Several kernels as one row. @param {Work[]} group @param {string} launch @param {string} name @param {number | undefined} family @returns {TableRow} */
function joined(group, launch, name, family) {
  const bound = new Set(group.map((w) => w.bound).filter((word) => word !== ''));
  return {
    launch,
    name,
    bytes: data.byteClasses.map((_, i) => sum(group.map((w) => w.bytes[i] ?? 0))),
    total: sum(group.map((w) => w.total)),
    flops: sum(group.map((w) => w.flops)),
    seconds: sum(group.map((w) => w.seconds)),
    bound: bound.size > 1 ? 'either' : ([...bound][0] ?? ''),
    family,
  };
}

/** Fields of the machine's figures, in GB/s and Gop/s. */
export function showRates() {
  const machine = data.machines[state.machine];
  byId('machine-source').textContent = machine === undefined ? '' : `${machine.name}, ${machine.source}`;
  const { bandwidth, rates } = state.rates;
  const field = (
    /** @type {string} */ label,
    /** @type {string} */ id,
    /** @type {number} */ value,
    /** @type {(rate: number) => void} */ set,
  ) => {
    const input = make('input', {
      id,
      type: 'number',
      min: 0,
      step: 'any',
      value: Number((value / 1e9).toPrecision(6)),
    });
    input.addEventListener('input', () => {
      if (input.valueAsNumber > 0) set(1e9 * input.valueAsNumber);
    });
    return make('label', {}, label, input);
  };
  const words = { f32: 'GFlop/s f32', bf16: 'GFlop/s bf16', i8: 'Gop/s bytes' };
  byId('rates').replaceChildren(
    field('GB/s', 'bandwidth', bandwidth, (rate) => change({ rates: { ...state.rates, bandwidth: rate } })),
    ...kinds.map((kind) =>
      field(words[/** @type {'f32'} */ (kind)], `rate-${kind}`, rates[kind] ?? 1, (rate) =>
        change({ rates: { ...state.rates, rates: { ...state.rates.rates, [kind]: rate } } }),
      ),
    ),
  );
}

export function startWork() {
  let shown = '';
  whenShown(() => {
    const { tokens, rates, cached } = state;
    const now = JSON.stringify([tokens, rates, cached]);
    if (now !== shown) showWork();
    shown = now;
  });
  for (const radio of all('[name=order]')) radio.addEventListener('change', showWork);
  const cached = /** @type {HTMLInputElement} */ (byId('cached'));
  cached.addEventListener('change', () => change({ cached: cached.checked }));
}
