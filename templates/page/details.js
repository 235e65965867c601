// The panel on one kernel or one op: what it computes, its ops as written, its source and its lines in the model.

import { byId, make } from './elements.js';
import { byteText, countText, timeText } from './numbers.js';
import { change, chosenKernel, counted, data, kernelsOfOp, state, step, works } from './state.js';

/** @import { KernelData } from '../../src/page/data.ts' */
/** @import { Child } from './elements.js' */
/** @import { Chosen } from './state.js' */

/** Where the focus was before the panel opened. @type {HTMLElement | null} */
let cameFrom = null;

/** @param {Chosen} kernel */
export function openKernel(kernel) {
  open({ kernel, op: undefined });
}

/** @param {number} op */
export function openOp(op) {
  open({ kernel: undefined, op });
}

/** Shows the panel, with what was chosen staying where it is on the screen. @param {Parameters<typeof change>[0]} what */
function open(what) {
  const from = /** @type {HTMLElement | null} */ (document.activeElement);
  const top = from?.getBoundingClientRect().top ?? 0;
  if (from !== null && !byId('details').contains(from)) cameFrom = from;
  change(what);
  byId('details').focus({ preventScroll: true });
  byId('details').scrollTop = 0;
  if (from?.isConnected && !byId('details').contains(from)) {
    window.scrollBy({ top: from.getBoundingClientRect().top - top, behavior: 'instant' });
  }
}

export function closeDetails() {
  if (byId('details').hidden) return;
  change({ kernel: undefined, op: undefined });
  if (cameFrom?.isConnected) cameFrom.focus({ preventScroll: true });
  cameFrom = null;
}

export function showDetails() {
  const panel = byId('details');
  const kernel = chosenKernel();
  const op = state.op === undefined ? undefined : data.ops[state.op];
  panel.hidden = kernel === undefined && op === undefined;
  document.body.classList.toggle('detailed', !panel.hidden);
  if (kernel !== undefined && state.kernel !== undefined) panel.replaceChildren(...kernelDetails(kernel, state.kernel));
  else if (op !== undefined && state.op !== undefined) panel.replaceChildren(...opDetails(state.op));
}

/** @param {string} title @param {Child[]} lines */
function head(title, ...lines) {
  const close = make('button', { type: 'button', class: 'close', 'aria-label': 'Close (Esc)' }, '×');
  close.addEventListener('click', closeDetails);
  return make('div', { class: 'head' }, make('h2', {}, title), close, ...lines);
}

/** @param {string} title @param {Child[]} children */
const part = (title, ...children) => make('section', {}, make('h3', {}, title), ...children);

/** @param {KernelData} kernel @param {Chosen} chosen */
function kernelDetails(kernel, chosen) {
  const where = chosen.list === 'prepare' ? 'at load' : `of the step ${step().name}`;
  return [
    head(
      kernel.kernel,
      make('p', { class: 'aside' }, `launch ${chosen.place} ${where}, ${kernel.rows} rows`),
      make('p', {}, make('code', {}, kernel.computes)),
      kernel.notes.map((note) => make('p', {}, note)),
    ),
    chosen.list === 'step' ? figuresOf(chosen.place) : '',
    opsOf(kernel, chosen),
    linesOf(kernel.ops),
    sourceOf(kernel),
    operandsOf(kernel),
  ].filter((child) => child !== '');
}

/** @param {number} place */
function figuresOf(place) {
  const work = works()[place];
  if (work === undefined) return '';
  const rows = work.bytes.flatMap((bytes, i) =>
    bytes === 0 ? [] : [make('dt', {}, data.byteClasses[i] ?? ''), make('dd', {}, byteText(bytes))],
  );
  return part(
    `In a step of ${counted().holds}`,
    make(
      'dl',
      { class: 'totals' },
      ...rows,
      make('dt', {}, 'operations'),
      make(
        'dd',
        {},
        `${countText(work.flops)}${work.kernel.arithmetic === 'f32' ? '' : `, on ${work.kernel.arithmetic}`}`,
      ),
      make('dt', {}, 'least time'),
      make('dd', {}, `${timeText(work.seconds)}${work.bound === '' ? '' : `, bound by ${work.bound}`}`),
    ),
  );
}

/** @param {KernelData} kernel @param {Chosen} chosen */
function opsOf({ ops, passes }, chosen) {
  const made = passes.length === 0 ? 'No pass changed it.' : `Made by ${passes.join(', ')}.`;
  if (ops.length === 0)
    return part('Ops as written', make('p', { class: 'aside' }, `None: it only moves what others compute. ${made}`));
  const items = ops.map((op) => {
    const shared = otherKernels(op, chosen);
    return make(
      'li',
      {},
      make('code', {}, data.ops[op]?.text ?? ''),
      shared === '' ? '' : make('span', { class: 'aside' }, ` ${shared}`),
    );
  });
  return part(
    `Ops as written (${ops.length})`,
    make('ol', { class: 'ops' }, ...items),
    make('p', { class: 'aside' }, made),
  );
}

/** Who else computes a part of an op. @param {number} op @param {Chosen} chosen */
function otherKernels(op, { list, place }) {
  const own = kernelsOfOp(op);
  const others = own.step.filter((i) => list !== 'step' || i !== place).map((i) => `${i}`);
  const prepared = own.prepare.filter((i) => list !== 'prepare' || i !== place).length;
  const words = [
    others.length === 0 ? '' : `kernel ${others.slice(0, 6).join(', ')}${others.length > 6 ? ' …' : ''}`,
    prepared === 0 ? '' : 'work at load',
  ];
  const shown = words.filter((word) => word !== '').join(' and ');
  return shown === '' ? '' : `with ${shown}`;
}

/** @param {KernelData} kernel */
function operandsOf({ operands }) {
  const rows = operands.map(({ name, access, of, space, holds }) =>
    make(
      'tr',
      {},
      make('td', {}, access),
      make('td', {}, make('code', {}, name)),
      make('td', {}, make('code', {}, holds)),
      make('td', {}, `${space} `, make('code', {}, of)),
    ),
  );
  return part(
    'Operands',
    make('div', { class: 'scroll' }, make('table', { class: 'operands' }, make('tbody', {}, ...rows))),
  );
}

/** @param {KernelData} kernel */
function sourceOf({ excerpts, header, headerLine, calls }) {
  const emitted = excerpts.flatMap((at) => {
    const { file, line, text } = data.excerpts[at] ?? { file: '', line: 0, text: '' };
    const last = line + text.split('\n').length - 1;
    return [
      make('p', { class: 'file' }, `${file}:${line}${last === line ? '' : `–${last}`}`),
      make('pre', { class: 'code', tabindex: 0 }, ...cppLines(text)),
    ];
  });
  const { path, about, text } = data.headers[header] ?? { path: '', about: '', text: '' };
  const whole = make('pre', { class: 'code header', tabindex: 0 });
  const fold = make(
    'details',
    { class: 'header' },
    make('summary', {}, make('code', {}, path), calls === '' ? '' : ` ${calls}`),
    whole,
  );
  fold.addEventListener('toggle', () => {
    if (!fold.open || whole.childNodes.length > 0) return;
    whole.append(...numbered(text.split('\n'), 1, new Set([headerLine])));
    const mark = /** @type {HTMLElement | null} */ (whole.querySelector('.marked'));
    if (mark !== null) whole.scrollTop = mark.offsetTop - whole.offsetTop - 60;
  });
  return part('Source', ...emitted, make('p', { class: 'file' }, 'the algorithm'), make('p', {}, about), fold);
}

/** Lines of C++ with their comments set back. @param {string} text */
const cppLines = (text) =>
  text.split('\n').map((line) => {
    const at = line.search(/\/\/ /);
    if (at < 0) return make('span', { class: 'line' }, `${line}\n`);
    return make(
      'span',
      { class: 'line' },
      line.slice(0, at),
      make('span', { class: 'comment' }, `${line.slice(at)}\n`),
    );
  });

/** @param {readonly string[]} lines @param {number} first @param {ReadonlySet<number>} marked */
const numbered = (lines, first, marked) =>
  lines.map((line, i) =>
    make(
      'span',
      { class: marked.has(first + i) ? 'line marked' : 'line' },
      make('span', { class: 'place', 'aria-hidden': 'true' }, String(first + i)),
      `${line}\n`,
    ),
  );

/** The lines of the model that ops come from: the user's with theirs, and the line of a preset that says each. @param {readonly number[]} ops */
function linesOf(ops) {
  /** @type {Map<number, Set<number>>} */
  const marked = new Map();
  /** @type {Set<string>} */
  const through = new Set();
  for (const op of ops) {
    const calls = (data.ops[op]?.calls ?? []).flatMap((at) => data.places[at] ?? []);
    for (let i = 0; i < calls.length; i += 3) {
      const [source, line] = [Number(calls[i]), Number(calls[i + 1])];
      // Of presets that call presets, the innermost says the op; the others are named.
      if (data.sources[source]?.preset && i > 0) through.add(`${data.sources[source]?.file}:${line}`);
      else marked.set(source, (marked.get(source) ?? new Set()).add(line));
    }
  }
  if (marked.size === 0)
    return ops.length === 0
      ? ''
      : part('Lines of the model', make('p', { class: 'aside' }, 'None are known: this is a graph without places.'));
  const files = [...marked].sort(
    ([a], [b]) => Number(data.sources[a]?.preset) - Number(data.sources[b]?.preset) || a - b,
  );
  return part(
    'Lines of the model',
    ...files.flatMap(([source, lines]) => fileLines(source, lines)),
    through.size === 0 ? '' : make('p', { class: 'aside' }, `through ${[...through].join(', ')}`),
  );
}

/** How many lines before and after a call are shown. */
const around = 2;

/** @param {number} source @param {ReadonlySet<number>} marked */
function fileLines(source, marked) {
  const { file, ranges } = data.sources[source] ?? { file: '', ranges: [] };
  const lines = [...marked].sort((a, b) => a - b);
  const name = make('p', { class: 'file' }, `${file}:${lines.join(', ')}`);
  if (ranges.length === 0) return [name];
  const near = (/** @type {number} */ line) => lines.some((one) => Math.abs(one - line) <= around);
  const pre = make('pre', { class: 'code', tabindex: 0 });
  for (const { line: first, lines: texts } of ranges) {
    const shown = texts.flatMap((text, i) => (near(first + i) ? [{ text, line: first + i }] : []));
    let last = 0;
    for (const { text, line } of shown) {
      if (pre.childNodes.length > 0 && last !== line - 1)
        pre.append(make('span', { class: 'line gap', 'aria-hidden': 'true' }, '…\n'));
      pre.append(...numbered([text], line, marked));
      last = line;
    }
  }
  return [name, pre];
}

/** @param {number} at */
function opDetails(at) {
  const { text, otherwise } = data.ops[at] ?? { text: '', otherwise: '' };
  const own = kernelsOfOp(at);
  const links = [
    ...own.step.map((place) => kernelLink({ list: 'step', place })),
    ...own.prepare.map((place) => kernelLink({ list: 'prepare', place })),
  ];
  return [
    head('Op as written', make('p', {}, make('code', {}, text))),
    part('Computed by', links.length === 0 ? make('p', {}, otherwise) : make('ul', { class: 'links' }, ...links)),
    linesOf([at]),
  ].filter((child) => child !== '');
}

/** @param {Chosen} chosen */
export function kernelLink(chosen) {
  const kernel = (chosen.list === 'prepare' ? data.prepare : step().kernels)[chosen.place];
  const words = `${chosen.list === 'prepare' ? 'at load: ' : ''}${chosen.place} ${kernel?.kernel ?? ''}`;
  const button = make('button', { type: 'button', class: 'kernel', 'data-family': kernel?.family }, words);
  button.addEventListener('click', () => openKernel(chosen));
  return make('li', {}, button);
}
