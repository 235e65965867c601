// The map: ops as written on the left, kernels on the right, bands from one to the other. What repeats is folded until asked for.

import { kernelLink, openKernel, openOp } from './details.js';
import { all, byId, make, makeSvg, roving } from './elements.js';
import { chosenKernel, counted, data, kernelsOfOp, state, step, whenShown } from './state.js';

/** @import { KernelData } from '../../src/page/data.ts' */

/** Heights of a row of the map and of a kernel, in pixels, and the air above a kernel's ops. */
const opHeight = 17;
const kernelHeight = 24;
const air = 4;
/** Width between the columns, less where there is little room. */
const bandWidth = () => (window.innerWidth < 700 ? 32 : 90);

/** Repeats of the step that are shown in full, by their first kernel. @type {Set<number>} */
export const unfolded = new Set();

/** The text that is looked for, in lower case. */
let wanted = '';

/** @typedef {{ readonly kind: 'op', readonly op: number, readonly y: number } | { readonly kind: 'fold', readonly repeat: number, readonly y: number }} Row */

/** For each op the first kernel that computes it; for others that of the op before, so that they stay in their block. */
function homes() {
  /** @type {(number | undefined)[]} */
  const own = new Array(data.ops.length).fill(undefined);
  for (const [i, { ops }] of step().kernels.entries()) for (const op of ops) own[op] ??= i;
  let last = 0;
  return own.map((home) => (last = home ?? last));
}

/** Which kernels lie in a block behind the first of its repeat. @returns {(number | undefined)[]} */
export function repeatOfKernels() {
  const { kernels, repeats } = step();
  /** @type {(number | undefined)[]} */
  const hidden = new Array(kernels.length).fill(undefined);
  for (const [at, { start, period, count }] of repeats.entries()) {
    for (let i = start + period; i < start + period * count; i++) hidden[i] = at;
  }
  return hidden;
}

/** Places of all rows and kernels. */
function layOut() {
  const { kernels } = step();
  const home = homes();
  const repeatOf = repeatOfKernels();
  const folded = (/** @type {number} */ kernel) => {
    const repeat = repeatOf[kernel];
    return wanted === '' && repeat !== undefined && !unfolded.has(repeat) ? repeat : undefined;
  };
  const found = matching();
  /** @type {Row[]} */
  const rows = [];
  /** @type {Map<number, number>} */
  const tops = new Map();
  const folds = new Set();
  let [left, right] = [0, 0];
  const place = (/** @type {number} */ kernel) => {
    const y = Math.max(left + air, right);
    tops.set(kernel, y);
    left = y;
    right = y + kernelHeight + air;
    // Kernels without ops of their own stand below the one before.
    for (
      let next = kernel + 1;
      kernels[next]?.ops.length === 0 && !tops.has(next) && folded(next) === undefined;
      next++
    ) {
      if (found !== undefined && !found.kernels.has(next)) continue;
      tops.set(next, right);
      right += kernelHeight + air;
    }
  };
  for (const [op, kernel] of home.entries()) {
    if (found !== undefined && !found.ops.has(op)) continue;
    const repeat = folded(kernel);
    if (repeat !== undefined) {
      if (folds.has(repeat)) continue;
      folds.add(repeat);
      left = right = Math.max(left, right) + air;
      rows.push({ kind: 'fold', repeat, y: left });
      left = right = left + kernelHeight + air;
      continue;
    }
    if (kernels[kernel]?.ops.includes(op) && !tops.has(kernel)) place(kernel);
    rows.push({ kind: 'op', op, y: left });
    left += opHeight;
  }
  return { rows, tops, height: Math.max(left, right) + air };
}

/** Ops and kernels that hold the text that is looked for; undefined where none is. */
function matching() {
  if (wanted === '') return undefined;
  const { kernels } = step();
  const has = (/** @type {string} */ text) => text.toLowerCase().includes(wanted);
  const ops = new Set(data.ops.flatMap(({ text }, i) => (has(text) ? [i] : [])));
  const own = new Set(
    kernels.flatMap((k, i) => (has(`${i} ${k.kernel} ${k.computes}`) || k.ops.some((op) => ops.has(op)) ? [i] : [])),
  );
  for (const i of own) for (const op of kernels[i]?.ops ?? []) ops.add(op);
  return { ops, kernels: own };
}

function showMap() {
  const { kernels, repeats } = step();
  const { rows, tops, height } = layOut();
  const ys = new Map(rows.flatMap((row) => (row.kind === 'op' ? [[row.op, row.y]] : [])));
  const left = make('div', { class: 'ops', role: 'group', 'aria-label': 'Ops as written' });
  const right = make('div', { class: 'kernels', role: 'group', 'aria-label': 'Kernels of the step' });
  const bands = makeSvg('svg', { class: 'bands', width: bandWidth(), height, 'aria-hidden': 'true' });
  for (const row of rows) left.append(row.kind === 'op' ? opRow(row.op, row.y) : foldRow(row.repeat, row.y));
  for (const [place, y] of tops) {
    const kernel = kernels[place];
    if (kernel === undefined) continue;
    right.append(kernelBox(kernel, place, y));
    bands.append(...bandsOf(kernel, place, y, ys));
  }
  for (const row of rows) {
    if (row.kind !== 'fold') continue;
    const { period, count } = repeats[row.repeat] ?? { period: 0, count: 0 };
    const box = make('p', { class: 'again' }, count === 2 ? `${period} kernels` : `${period} kernels × ${count - 1}`);
    box.style.top = `${row.y}px`;
    right.append(box);
  }
  const none = rows.length === 0 ? [make('p', { class: 'none' }, 'Nothing here is called that.')] : [];
  const map = byId('map');
  map.replaceChildren(left, bands, right, ...none);
  map.style.height = `${Math.max(height, 40)}px`;
  roving(left, 'button');
  roving(right, 'button');
  markMap();
}

/** @param {number} op @param {number} y */
function opRow(op, y) {
  const { text, otherwise } = data.ops[op] ?? { text: '', otherwise: '' };
  const own = kernelsOfOp(op);
  const first = own.step[0];
  const fate = first !== undefined ? '' : own.prepare.length > 0 ? 'at load' : (otherwise.split(':')[0] ?? '');
  const family = first === undefined ? undefined : step().kernels[first]?.family;
  const row = make(
    'button',
    {
      type: 'button',
      class: fate === '' ? 'op' : 'op idle',
      tabindex: -1,
      'data-op': op,
      'data-family': family,
      title: text,
    },
    make('span', { class: 'text' }, text),
    fate === '' ? '' : make('span', { class: 'fate' }, fate),
  );
  row.style.top = `${y}px`;
  row.addEventListener('click', () => (first === undefined ? openOp(op) : openKernel({ list: 'step', place: first })));
  return row;
}

/** @param {number} repeat @param {number} y */
function foldRow(repeat, y) {
  const { start, period, count } = step().repeats[repeat] ?? { start: 0, period: 0, count: 0 };
  const words = `the same again ${count === 2 ? 'once' : `${count - 1} times`}: kernels ${start + period} to ${start + period * count - 1}`;
  const button = make('button', { type: 'button', class: 'fold', tabindex: -1 }, `▸ ${words}`);
  button.style.top = `${y}px`;
  button.addEventListener('click', () => {
    unfolded.add(repeat);
    showMap();
  });
  return button;
}

/** @param {KernelData} kernel @param {number} place @param {number} y */
function kernelBox({ kernel, family, computes }, place, y) {
  const attributes = {
    type: 'button',
    class: 'kernel',
    tabindex: -1,
    'data-kernel': place,
    'data-family': family,
    title: computes,
  };
  const box = make('button', attributes, make('span', { class: 'place' }, String(place)), ` ${kernel}`);
  box.style.top = `${y}px`;
  box.addEventListener('click', () => openKernel({ list: 'step', place }));
  return box;
}

/** A band from each run of rows to the kernel. @param {KernelData} kernel @param {number} place @param {number} y @param {ReadonlyMap<number, number>} ys */
function bandsOf({ ops, family }, place, y, ys) {
  const tops = ops.flatMap((op) => ys.get(op) ?? []).sort((a, b) => a - b);
  const width = bandWidth();
  /** @type {[number, number][]} */
  const runs = [];
  for (const top of tops) {
    const last = runs.at(-1);
    if (last !== undefined && last[1] === top) last[1] = top + opHeight;
    else runs.push([top, top + opHeight]);
  }
  const [from, to, middle] = [y, y + kernelHeight, width / 2];
  return runs.map(([a, b]) =>
    makeSvg('path', {
      class: 'band',
      'data-family': family,
      'data-kernel': place,
      d: `M0 ${a}C${middle} ${a} ${middle} ${from} ${width} ${from}V${to}C${middle} ${to} ${middle} ${b} 0 ${b}Z`,
    }),
  );
}

/** Marks the chosen kernel with its ops. */
export function markMap() {
  const own = new Set(
    state.kernel?.list === 'step' ? (chosenKernel()?.ops ?? []) : state.op === undefined ? [] : [state.op],
  );
  const place = state.kernel?.list === 'step' ? state.kernel.place : undefined;
  for (const row of all('[data-op]', byId('fusion'))) row.classList.toggle('chosen', own.has(Number(row.dataset.op)));
  for (const box of all('[data-kernel]', byId('fusion'))) {
    const chosen = Number(box.dataset.kernel) === place;
    box.classList.toggle('chosen', chosen);
    if (box.tagName === 'BUTTON') box.setAttribute('aria-current', String(chosen));
  }
}

export function startMap() {
  let width = bandWidth();
  window.addEventListener('resize', () => {
    if (width !== bandWidth()) showMap();
    width = bandWidth();
  });
  const search = /** @type {HTMLInputElement} */ (byId('search'));
  search.addEventListener('input', () => {
    wanted = search.value.trim().toLowerCase();
    showMap();
  });
  const unfold = byId('unfold');
  unfold.addEventListener('click', () => {
    const folded = unfold.getAttribute('aria-pressed') !== 'true';
    unfold.setAttribute('aria-pressed', String(folded));
    unfolded.clear();
    if (folded) for (const i of step().repeats.keys()) unfolded.add(i);
    showMap();
  });
  let shown = -1;
  whenShown(() => {
    if (shown !== counted().step) {
      shown = counted().step;
      unfold.hidden = step().repeats.length === 0;
      unfold.setAttribute('aria-pressed', 'false');
      unfolded.clear();
      showMap();
    } else markMap();
  });
  const names = data.prepare.map((_, place) => kernelLink({ list: 'prepare', place }));
  byId('prepare').querySelector('summary')?.append(`At load: ${data.prepare.length} launches`);
  byId('prepare-list').append(make('ul', { class: 'links' }, ...names));
}
