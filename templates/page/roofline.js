// The roofline: operations per byte against operations per second, with a dot per kernel where the machine's limit for it lies.

import { openKernel } from './details.js';
import { byId, make, makeSvg } from './elements.js';
import { countText, timeText } from './numbers.js';
import { kinds, machineName, state, sum } from './state.js';

/** @import { Work } from './state.js' */

const chart = { width: 560, height: 300, left: 58, right: 14, top: 14, bottom: 40 };

/** @param {Work[]} list */
export function showRoofline(list) {
  const { bandwidth, rates } = state.rates;
  const moving = list.filter(({ total, flops }) => total > 0 && flops > 0);
  const intensity = (/** @type {Work} */ { total, flops }) => flops / total;
  const peak = Math.max(...kinds.map((kind) => rates[kind] ?? 1));
  const ridge = peak / bandwidth;
  const xs = [...moving.map(intensity), ridge];
  const [x0, x1] = [2 ** Math.floor(Math.log2(Math.min(...xs)) - 0.5), 2 ** Math.ceil(Math.log2(Math.max(...xs)) + 1)];
  const [y0, y1] = [x0 * bandwidth, 1.6 * peak];
  const { width, height, left, right, top, bottom } = chart;
  const x = (/** @type {number} */ value) => left + ((width - left - right) * Math.log(value / x0)) / Math.log(x1 / x0);
  const y = (/** @type {number} */ value) =>
    height - bottom - ((height - top - bottom) * Math.log(value / y0)) / Math.log(y1 / y0);
  const total = sum(list.map((w) => w.seconds));
  const parts = [
    makeSvg(
      'title',
      {},
      `Roofline of ${machineName()}: ${moving.length} kernels compute, ${list.length - moving.length} only move bytes.`,
    ),
    ...powers(x0, x1, 4).map((value) =>
      tick(x(value), height - bottom, value >= 1 ? String(value) : `1/${1 / value}`, 'x'),
    ),
    ...powers(y0, y1, 10).map((value) => tick(left, y(value), countText(value), 'y')),
    makeSvg(
      'text',
      { class: 'axis', x: (left + width - right) / 2, y: height - 6, 'text-anchor': 'middle' },
      'operations per byte',
    ),
    makeSvg('text', { class: 'axis', x: left + 6, y: top + 4 }, 'operations per second'),
    makeSvg('path', { class: 'roof', d: `M${x(x0)} ${y(y0)}L${x(ridge)} ${y(peak)}` }),
    ...kinds.map((kind) => {
      const rate = rates[kind] ?? 1;
      const [from, to] = [x(rate / bandwidth), x(x1)];
      return makeSvg(
        'g',
        {},
        makeSvg('path', { class: 'roof', d: `M${from} ${y(rate)}H${to}` }),
        makeSvg(
          'text',
          { class: 'axis', x: to - 4, y: y(rate) - 5, 'text-anchor': 'end' },
          kind === 'i8' ? 'bytes' : kind,
        ),
      );
    }),
    ...moving.map((work) => {
      const at = intensity(work);
      const limit = Math.min(rates[work.kernel.arithmetic] ?? 1, at * bandwidth);
      const radius = 3 + 14 * Math.sqrt(work.seconds / Math.max(total, 1e-12));
      const dot = makeSvg('circle', {
        class: 'dot',
        'data-family': work.kernel.family,
        cx: x(at),
        cy: y(limit),
        r: radius,
      });
      dot.append(
        makeSvg(
          'title',
          {},
          `${work.place} ${work.kernel.kernel}: ${Number(at.toPrecision(3))} operations per byte, at the least ${timeText(work.seconds)}`,
        ),
      );
      dot.addEventListener('click', () => openKernel({ list: 'step', place: work.place }));
      return dot;
    }),
  ];
  const svg = makeSvg(
    'svg',
    { viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': parts[0]?.textContent ?? '' },
    ...parts,
  );
  const caption = make(
    'figcaption',
    {},
    'A dot is a kernel, larger the more of the least time it takes. Below the slope memory is the limit, below a flat roof arithmetic.',
  );
  byId('roofline').replaceChildren(svg, caption);
}

/** Powers of a base in a range. @param {number} from @param {number} to @param {number} base */
function powers(from, to, base) {
  const found = [];
  for (let n = Math.ceil(Math.log(from) / Math.log(base) - 1e-9); base ** n <= to; n++) found.push(base ** n);
  return found;
}

/** @param {number} x @param {number} y @param {string} text @param {'x' | 'y'} axis */
function tick(x, y, text, axis) {
  const { width, right, height, top, bottom } = chart;
  const line = axis === 'x' ? `M${x} ${top}V${height - bottom}` : `M${x} ${y}H${width - right}`;
  const place = axis === 'x' ? { x, y: y + 16, 'text-anchor': 'middle' } : { x: x - 6, y: y + 4, 'text-anchor': 'end' };
  return makeSvg('g', { class: 'tick' }, makeSvg('path', { d: line }), makeSvg('text', place, text));
}
