// The memory chart: the one of the step that is shown, and words on the buffer that is pointed at.

import { openKernel } from './details.js';
import { all, byId, roving } from './elements.js';
import { step, whenShown } from './state.js';

export function startMemory() {
  const readout = byId('buffer');
  let pinned = '';
  const say = (/** @type {string} */ text) => {
    readout.textContent = text === '' ? '\u00a0' : text;
  };
  for (const figure of all('.memory')) {
    roving(figure, '.buffer');
    for (const buffer of all('.buffer', figure)) {
      const label = buffer.getAttribute('aria-label') ?? '';
      buffer.addEventListener('pointerenter', () => say(label));
      buffer.addEventListener('pointerleave', () => say(pinned));
      buffer.addEventListener('focus', () => say((pinned = label)));
      buffer.addEventListener('click', () => {
        pinned = label;
        for (const other of all('.buffer.chosen')) other.classList.remove('chosen');
        buffer.classList.add('chosen');
        say(label);
        openKernel({ list: 'step', place: Number(buffer.dataset.first) });
      });
    }
  }
  whenShown(() => {
    for (const figure of all('.memory')) figure.hidden = figure.dataset.step !== step().name;
  });
}
