// Puts the page together: controls, keys, and the first look.

import { closeDetails, showDetails } from './details.js';
import { startDrawings } from './drawings.js';
import { byId } from './elements.js';
import { startMap } from './map.js';
import { startMemory } from './memory.js';
import { change, chosenKernel, counted, data, state, step, whenShown } from './state.js';
import { showRates, startWork } from './work.js';

function startControls() {
  const [tokens, steps, machine] = ['tokens', 'step', 'machine'].map(
    (id) => /** @type {HTMLSelectElement} */ (byId(id)),
  );
  if (tokens === undefined || steps === undefined || machine === undefined) return;
  for (const option of steps.options) {
    const { name, minTokens, maxTokens } = data.steps[Number(option.value)] ?? { name: '', minTokens: 0, maxTokens: 0 };
    option.textContent = minTokens === maxTokens ? `${name} (T ${minTokens})` : `${name} (T ${minTokens}–${maxTokens})`;
  }
  tokens.addEventListener('change', () => choose(Number(tokens.value)));
  steps.addEventListener('change', () => choose(data.tokens.findIndex(({ step }) => step === Number(steps.value))));
  const take = () => {
    const { bandwidth, rates } = data.machines[Number(machine.value)] ?? { bandwidth: 1, rates: {} };
    change({ machine: Number(machine.value), rates: { bandwidth, rates: { ...rates } } });
    showRates();
  };
  machine.addEventListener('change', take);
  whenShown(() => {
    tokens.value = String(state.tokens);
    steps.value = String(counted().step);
  });
  take();
}

/** Another number of tokens. The kernel that is looked at stays, where the step that serves them has it. @param {number} tokens */
function choose(tokens) {
  const before = chosenKernel();
  const next = data.steps[data.tokens[tokens]?.step ?? 0];
  let kernel = state.kernel;
  if (before !== undefined && kernel?.list === 'step' && next !== step()) {
    const place =
      next?.kernels.findIndex(({ kernel, computes }) => computes === before.computes && kernel === before.kernel) ?? -1;
    const like = place >= 0 ? place : (next?.kernels.findIndex(({ computes }) => computes === before.computes) ?? -1);
    kernel = like >= 0 ? { list: 'step', place: like } : undefined;
  }
  change({ tokens, kernel });
}

startMap();
startWork();
startMemory();
startDrawings();
whenShown(showDetails);
startControls();
document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape') closeDetails();
});
