// The sections that the script fills: fusion, work and memory, with their controls.

import { byteClasses } from './data.ts';
import { families } from './families.ts';
import { type Html, html } from './html.ts';

/** Kernels beside what they stand for, as a map and as drawings. `drawings`: those of each step, and that of the graph as written. */
export const fusionSection = (
  drawings: readonly { readonly step: string; readonly drawing: Html }[],
  written: Html,
): Html => html`<section id="fusion" aria-labelledby="fusion-title">
<h2 id="fusion-title">From ops to kernels</h2>
<p class="lead">Left, the ops as the model was written, in order; right, the kernels of the step, numbered as they run. A band leads from ops to the kernel that computes them. Choose a kernel to see its ops, its source and its lines in the model.</p>
<div class="tools">
<div class="tabs" role="tablist" aria-label="Views of the graph">
<button role="tab" id="tab-map" aria-controls="view-map" aria-selected="true">Map</button>
<button role="tab" id="tab-kernels" aria-controls="view-kernels" aria-selected="false" tabindex="-1">Kernels drawn</button>
<button role="tab" id="tab-written" aria-controls="view-written" aria-selected="false" tabindex="-1">As written, drawn</button>
</div>
<label class="search">Find an op, value or kernel <input id="search" type="search" autocomplete="off" spellcheck="false"></label>
<button id="unfold" type="button" aria-pressed="false">Show repeats</button>
<span class="zoom" role="group" aria-label="Size of the drawing" hidden><button type="button" data-zoom="out" aria-label="smaller">−</button><button type="button" data-zoom="fit">fit</button><button type="button" data-zoom="in" aria-label="larger">+</button></span>
</div>
<ul class="legend" aria-label="Colours">${families.map((family, i) => html`<li data-family="${i}">${family}</li>`)}</ul>
<div id="view-map" role="tabpanel" aria-labelledby="tab-map"><div id="map"></div></div>
<div id="view-kernels" role="tabpanel" aria-labelledby="tab-kernels" hidden>${drawings.map(({ step, drawing }) => html`<div class="canvas" data-step="${step}" tabindex="0" role="region" aria-label="Kernels drawn">${drawing}</div>\n`)}</div>
<div id="view-written" role="tabpanel" aria-labelledby="tab-written" hidden><div class="canvas" tabindex="0" role="region" aria-label="Ops drawn">${written}</div></div>
<details id="prepare"><summary></summary><p class="lead">Work on weights alone, once when they load: always on the CPU.</p><div id="prepare-list"></div></details>
</section>`;

/** Bytes, operations and least time of every kernel, and the roofline. */
export const workSection = (): Html => html`<section id="work" aria-labelledby="work-title">
<h2 id="work-title">Bytes, operations and time</h2>
<p class="lead" id="work-step"></p>
<div class="columns">
<figure id="roofline"></figure>
<div class="machine">
<h3>Machine</h3>
<p id="machine-source" class="aside"></p>
<div class="rates" id="rates"></div>
<label class="check"><input type="checkbox" id="cached"> values between kernels stay in a cache: their bytes take no time</label>
<dl class="totals" id="totals"></dl>
</div>
</div>
<div class="tools">
<div class="choice" role="radiogroup" aria-label="Order of the kernels">
<label><input type="radio" name="order" value="order" checked> as they run</label>
<label><input type="radio" name="order" value="time"> by least time</label>
<label><input type="radio" name="order" value="kind"> by kind</label>
</div>
<ul class="legend" aria-label="Kinds of bytes">${byteClasses.map((name, i) => html`<li data-bytes="${i}">${name}</li>`)}</ul>
</div>
<div class="scroll" id="kernels"></div>
<p class="aside">Every input of a kernel counts once and every output once. Of tables that tokens choose rows from, a row per choice counts, and no more than the whole table. Least time: the longer of bytes at full bandwidth and operations at the full rate.</p>
</section>`;

/** The arenas of all steps over time. */
export const memorySection = (
  charts: readonly Html[],
): Html => html`<section id="memory" aria-labelledby="memory-title">
<h2 id="memory-title">Memory of a step</h2>
<p class="lead">Launches from left to right, bytes of the arena from the bottom up: a rectangle is a buffer from the launch that writes it to the last that reads it. Choose one to see the kernel that writes it.</p>
<p class="readout" id="buffer" aria-live="polite">&nbsp;</p>
${charts}
</section>`;
