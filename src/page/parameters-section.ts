// Weights by kind: a bar and a row each, with what one token meets.

import { type Html, html } from './html.ts';
import { countText } from './numbers.ts';
import { share } from './overview.ts';
import type { Parameters } from './parameters.ts';

/** Width of the bars, in units of the drawing. */
const WIDTH = 400;

/** Names of tensors that a row shows. */
const SHOWN = 40;

export function parametersSection(parameters: readonly Parameters[]): Html {
  const most = Math.max(1, ...parameters.map(({ elements }) => elements));
  const sum = (of: 'elements' | 'touched'): number => parameters.reduce((n, kind) => n + kind[of], 0);
  const [all, met] = [sum('elements'), sum('touched')];
  return html`<section id="parameters" aria-labelledby="parameters-title">
<h2 id="parameters-title">Parameters</h2>
<p class="lead">By what the ops that read them make of them. <span class="key whole"></span> all, <span class="key part"></span> those that one token meets: rows where it chooses rows, else all.</p>
<div class="scroll"><table class="parameters"><thead><tr><th scope="col">kind</th><th scope="col" class="wide"><span class="hidden-text">numbers as a bar</span></th><th scope="col" class="number">tensors</th><th scope="col" class="number">numbers</th><th scope="col" class="number">share</th><th scope="col" class="number">a token meets</th><th scope="col" class="number">of them</th></tr></thead>
<tbody>${parameters.map((kind) => row(kind, most, all))}</tbody>
<tfoot><tr><th scope="row">all</th><td></td><td class="number">${parameters.reduce((n, { tensors }) => n + tensors.length, 0)}</td><td class="number">${countText(all)}</td><td></td><td class="number">${countText(met)}</td><td class="number">${share(met, all)}</td></tr></tfoot></table></div>
</section>`;
}

function row({ kind, tensors, elements, touched }: Parameters, most: number, all: number): Html {
  const width = (numbers: number): string => ((WIDTH * numbers) / most).toFixed(2);
  const more = tensors.length > SHOWN ? html`<li>… and ${tensors.length - SHOWN} more</li>` : '';
  return html`<tr><th scope="row"><details><summary>${kind}</summary><ul class="names">${tensors.slice(0, SHOWN).map((name) => html`<li>${name}</li>`)}${more}</ul></details></th>
<td class="wide"><svg class="bar" viewBox="0 0 ${WIDTH} 12" preserveAspectRatio="none" role="img" aria-label="${countText(elements)} numbers, ${countText(touched)} of them met by a token"><rect class="whole" width="${width(elements)}" height="12"/><rect class="part" width="${width(touched)}" height="12"/></svg></td>
<td class="number">${tensors.length}</td><td class="number">${countText(elements)}</td><td class="number">${share(elements, all)}</td><td class="number">${countText(touched)}</td><td class="number">${share(touched, elements)}</td></tr>\n`;
}
