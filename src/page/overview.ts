// The first section: what the model is, what became of it, and what was left as it was.

import type { Inspection } from '../inspect.ts';
import type { MemoryEstimate } from '../runtime/index.ts';
import { type Html, html } from './html.ts';
import { byteText, countText } from './numbers.ts';
import type { Parameters } from './parameters.ts';

/** Memory of a session of so many sequences. */
export interface EstimatedMemory {
  readonly sequences: number;
  readonly estimate: MemoryEstimate;
}

export function overview(
  { before, after, notes, log }: Inspection,
  parameters: readonly Parameters[],
  { sequences, estimate }: EstimatedMemory,
): Html {
  const sum = (of: 'elements' | 'touched'): number => parameters.reduce((n, kind) => n + kind[of], 0);
  const steps = after.nodes.filter(({ stage }) => stage === 'step').length;
  const { weights, session } = estimate;
  const left = notes.filter(({ kind }) => kind === 'left');
  return html`<section id="overview" aria-labelledby="overview-title">
<h2 id="overview-title">Overview</h2>
<div class="cards">
<div class="card"><h3>Graph</h3><p><b>${before.nodes.length}</b> ops as written</p><p><b data-figure="kernels"></b> kernels a step</p><p class="aside">${steps} nodes a step after all passes, ${after.nodes.length - steps} at load</p></div>
<div class="card"><h3>A step of <span data-figure="tokens"></span></h3><p><b data-figure="bytes"></b> to move</p><p><b data-figure="flops"></b> operations</p><p class="aside">as written, op by op: <span data-figure="written"></span></p></div>
<div class="card"><h3>At the least</h3><p><b data-figure="time"></b> a step</p><p><b data-figure="rate"></b> tokens a second</p><p class="aside">on <span data-figure="machine"></span>, kernel by kernel, nothing for starting them</p></div>
<div class="card"><h3>Weights</h3><p><b>${countText(sum('elements'))}</b> numbers in ${before.weights.length} tensors</p><p><b>${countText(sum('touched'))}</b> met by a token</p><p class="aside">${share(sum('touched'), sum('elements'))} of them</p></div>
<div class="card"><h3>Memory</h3><p><b>${byteText(weights.own + weights.prepared)}</b> to load</p><p><b>${byteText(weights.mapped)}</b> mapped${weights.inFile === 0 ? '' : html`, ${byteText(weights.inFile)} in their file`}</p><p class="aside">a session of ${sequences}: ${byteText(session.states)} of states, ${byteText(session.arena)} arena</p></div>
</div>
${left.length === 0 ? '' : html`<h3>Left as it was</h3><ul class="notes">${left.map(({ text }) => html`<li>${text}</li>`)}</ul>`}
<details><summary>What each pass did</summary>
<div class="scroll"><table><thead><tr><th scope="col">pass</th><th scope="col" class="number">nodes before</th><th scope="col" class="number">after</th></tr></thead>
<tbody>${log.map(({ pass, changed, nodesBefore, nodesAfter }) => html`<tr><td>${pass}</td><td class="number">${nodesBefore}</td><td class="number">${changed ? nodesAfter : '='}</td></tr>`)}</tbody></table></div></details>
</section>`;
}

/** A part of a whole in per cent, with as many places as it takes to see it. */
export function share(part: number, whole: number): string {
  const percent = whole === 0 ? 0 : (100 * part) / whole;
  return `${percent >= 10 || percent === 0 ? percent.toFixed(0) : Number(percent.toPrecision(2))} %`;
}
