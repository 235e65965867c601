// The drawn graphs: which is shown, its size, colours of ops, and dragging.

import { openKernel, openOp } from './details.js';
import { all, byId, roving } from './elements.js';
import { markMap } from './map.js';
import { counted, data, kernelsOfOp, step, whenShown } from './state.js';

/** @returns {SVGSVGElement | null} */
const shownDrawing = () =>
  /** @type {SVGSVGElement | null} */ (
    document.querySelector('[role=tabpanel]:not([hidden]) .canvas:not([hidden]) svg')
  );

/** Resizes the drawing around the middle of what is seen. 0: as wide as there is room. @param {number} size */
function resize(size) {
  const drawing = shownDrawing();
  const canvas = drawing?.parentElement;
  if (drawing == null || canvas == null) return;

  const { width, height } = drawing.viewBox.baseVal;
  const factor = size === 0 ? Math.min(1, (canvas.clientWidth - 2) / width) : size;
  const before = drawing.clientWidth || width;
  const middle = (canvas.scrollTop + canvas.clientHeight / 2) / before;
  drawing.setAttribute('width', String(width * factor));
  drawing.setAttribute('height', String(height * factor));
  canvas.scrollTop = middle * width * factor - canvas.clientHeight / 2;
}

/** How large the drawing is shown. */
function factorOf() {
  const drawing = shownDrawing();
  return drawing === null ? 1 : drawing.clientWidth / drawing.viewBox.baseVal.width;
}

function showDrawings() {
  for (const canvas of all('#view-kernels .canvas')) canvas.hidden = canvas.dataset.step !== step().name;
  for (const node of all('#view-written [data-op]')) {
    const first = kernelsOfOp(Number(node.dataset.op)).step[0];
    const family = first === undefined ? undefined : step().kernels[first]?.family;
    if (family === undefined) node.removeAttribute('data-family');
    else node.setAttribute('data-family', String(family));
  }
  markMap();
}

/** @param {HTMLElement} canvas */
function startDragging(canvas) {
  let from = { x: 0, y: 0, left: 0, top: 0 };
  let dragged = false;
  canvas.addEventListener('pointerdown', (event) => {
    if (event.pointerType !== 'mouse' || event.button !== 0) return;
    from = { x: event.clientX, y: event.clientY, left: canvas.scrollLeft, top: canvas.scrollTop };
    dragged = false;
  });
  canvas.addEventListener('pointermove', (event) => {
    if (event.pointerType !== 'mouse' || event.buttons !== 1) return;
    dragged ||= Math.abs(event.clientX - from.x) + Math.abs(event.clientY - from.y) > 4;
    canvas.scrollLeft = from.left + from.x - event.clientX;
    canvas.scrollTop = from.top + from.y - event.clientY;
  });
  canvas.addEventListener('wheel', (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    resize(Math.min(3, Math.max(0.1, factorOf() * (event.deltaY < 0 ? 1.1 : 1 / 1.1))));
  });
  canvas.addEventListener('click', (event) => {
    const node = /** @type {Element} */ (event.target).closest('.node');
    if (dragged || !(node instanceof SVGElement)) return;
    const { kernel, op } = node.dataset;
    if (kernel !== undefined) return openKernel({ list: 'step', place: Number(kernel) });
    const first = kernelsOfOp(Number(op)).step[0];
    if (first === undefined) openOp(Number(op));
    else openKernel({ list: 'step', place: first });
  });
}

export function startDrawings() {
  for (const node of all('.node')) {
    const { kernel, op } = node.dataset;
    const words =
      kernel === undefined ? (data.ops[Number(op)]?.text ?? '') : (node.querySelector('text')?.textContent ?? '');
    node.setAttribute('aria-label', words);
  }
  for (const canvas of all('.canvas')) {
    roving(canvas, '.node');
    startDragging(canvas);
  }
  const tabs = all('[role=tab]');
  for (const tab of tabs) {
    tab.addEventListener('click', () => {
      for (const other of tabs) {
        const selected = other === tab;
        other.setAttribute('aria-selected', String(selected));
        other.setAttribute('tabindex', selected ? '0' : '-1');
        byId(other.getAttribute('aria-controls') ?? '').hidden = !selected;
      }
      const drawn = tab.id !== 'tab-map';
      for (const place of all('.zoom')) place.hidden = !drawn;
      for (const place of all('.search')) place.hidden = drawn;
      byId('unfold').hidden = drawn || step().repeats.length === 0;
      showDrawings();
      resize(0);
    });
  }
  const list = document.querySelector('[role=tablist]');
  if (list !== null) roving(list, '[role=tab]');
  for (const button of all('[data-zoom]')) {
    button.addEventListener('click', () => {
      const by = button.dataset.zoom;
      resize(by === 'fit' ? 0 : Math.min(3, Math.max(0.1, factorOf() * (by === 'in' ? 1.25 : 0.8))));
    });
  }
  let shown = -1;
  whenShown(() => {
    if (shown !== counted().step) showDrawings();
    shown = counted().step;
  });
}
