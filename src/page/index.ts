// One self-contained page on what the compiler made of a model. Data in, text out; the browser needs nothing but the file.

import { createHash } from 'node:crypto';
import type { Inspection, InspectTarget, Work } from '../inspect.ts';
import type { ValueId } from '../ir/graph.ts';
import type { DeviceLaunch } from '../plan/device/launch.ts';
import type { StepShape } from '../plan/traffic.ts';
import type { AnyLaunch, Variant } from '../plan/types.ts';
import { pageScript, pageStyle } from './assets.ts';
import { byteClasses, type Machine, type PageData, type StepData, type TokensData } from './data.ts';
import { type Emitted, EmittedTexts } from './emitted.ts';
import { families } from './families.ts';
import { drawKernels, drawWritten } from './flow.ts';
import { type Html, html, scriptJson } from './html.ts';
import { type Context, kernelsOf, parametersOf as launchParameters, signatureOf } from './kernels.ts';
import { memoryChart } from './memory.ts';
import { type CallPlace, opsOf, type SourceFile, sourcesOf } from './ops.ts';
import { type EstimatedMemory, overview } from './overview.ts';
import { parametersOf } from './parameters.ts';
import { parametersSection } from './parameters-section.ts';
import { repeatsOf } from './repeats.ts';
import { fusionSection, memorySection, workSection } from './sections.ts';
import { figuresOf } from './work.ts';

export { tokenChoices, workOf } from './work.ts';
export type { CallPlace, EstimatedMemory, Machine, SourceFile };

/** A step to count: its shape, and what it is in words. */
export interface CountedStep {
  readonly step: StepShape;
  readonly holds: string;
  /** Of the graph as it is written, op by op, where kernels can run it so. */
  readonly written: Work | undefined;
}

export interface PageInput {
  readonly inspection: Inspection;
  readonly target: InspectTarget;
  /** How floats and tables are stored, in words. */
  readonly stored: string;
  /** Name of the model's file. */
  readonly source: string;
  readonly memory: EstimatedMemory;
  readonly steps: readonly CountedStep[];
  readonly machines: readonly Machine[];
  /** Per schedule (`prepare`, `one`, …) what was emitted for its launches. */
  readonly emitted: ReadonlyMap<string, readonly Emitted[]>;
  /** Text of headers of native/ by path. */
  readonly headers: ReadonlyMap<string, string>;
  /** Files of calls, and the calls that led to each as-written node, by its first result. */
  readonly files: readonly SourceFile[];
  readonly calls: ReadonlyMap<ValueId, readonly CallPlace[]>;
}

/** The text of the page: the same for the same input. */
export function renderPage(input: PageInput): string {
  const { inspection, target, stored, source, memory } = input;
  const { before, plan } = inspection;
  const data = pageData(input);
  const parameters = parametersOf(before, inspection.after);
  const variants = plan.variants as readonly Variant<AnyLaunch | DeviceLaunch>[];
  const drawings = data.steps.map((step, i) => ({
    step: step.name,
    drawing: drawKernels(step, variants[i]!.launches, data.ops),
  }));
  const charts = variants.map((variant, i) =>
    memoryChart(variant.name, variant, data.steps[i]!.kernels, writersOf(variant.launches)),
  );
  const body = html`${header(before.name, `${source} for ${target}, ${stored}`, data)}
<main>
${overview(inspection, parameters, memory)}
${fusionSection(drawings, drawWritten(before))}
${workSection()}
${memorySection(charts)}
${parametersSection(parameters)}
</main>
<aside id="details" aria-label="Kernel" tabindex="-1" hidden></aside>`;
  return document(before.name, body, data);
}

function header(model: string, about: string, { machines, tokens, target }: PageData): Html {
  const own = target === 'cpu' ? 'cpu' : 'device';
  const options = (kind: Machine['kind']): Html[] =>
    machines.flatMap((machine, i) =>
      machine.kind === kind ? [html`<option value="${i}">${machine.name}</option>`] : [],
    );
  const groups = [
    html`<optgroup label="processors">${options('cpu')}</optgroup>`,
    html`<optgroup label="devices">${options('device')}</optgroup>`,
  ];
  return html`<header>
<div class="name"><h1>${model}</h1><p>${about}</p></div>
<div class="controls">
<label>Tokens <select id="tokens">${tokens.map(({ tokens }, i) => html`<option value="${i}">${tokens}</option>`)}</select></label>
<label>Kernels <select id="step">${[...new Set(tokens.map(({ step }) => step))].map((i) => html`<option value="${i}"></option>`)}</select></label>
<label>Machine <select id="machine">${own === 'cpu' ? groups : groups.toReversed()}</select></label>
</div>
<nav aria-label="Sections"><a href="#overview">Overview</a><a href="#fusion">Fusion</a><a href="#work">Work</a><a href="#memory">Memory</a><a href="#parameters">Parameters</a></nav>
</header>`;
}

/** The document; its policy lets nothing in but what it holds. */
function document(model: string, body: Html, data: PageData): string {
  const style = pageStyle();
  const script = pageScript();
  const hash = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
  const policy = `default-src 'none'; style-src ${hash(style)}; script-src ${hash(script)}; img-src data:; base-uri 'none'; form-action 'none'`;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="ultramem">
<link rel="icon" href="data:,">
<title>${model} – ultramem</title>
<style>${{ html: style }}</style>
</head>
<body>
${body}
<script type="application/json" id="data">${scriptJson(data)}</script>
<script>${{ html: script }}</script>
</body>
</html>
`.html;
}

function pageData({ inspection, target, steps, machines, emitted, headers, files, calls }: PageInput): PageData {
  const { before, after, plan, provenance, notes } = inspection;
  const { ops, places } = opsOf(before, provenance.removed, calls);
  const context: Context = {
    plan,
    provenance,
    notes,
    places: new Map(before.nodes.map(({ results }, i) => [results[0]!.id, i])),
    prepared: new Set(after.nodes.flatMap(({ stage, results }) => (stage === 'prepare' ? [results[0]!.id] : []))),
  };
  const texts = new EmittedTexts(headers);
  const sourcesFor = (name: string) => (emitted.get(name) ?? []).map((launch) => texts.placesOf(launch));
  const prepare = kernelsOf(plan.prepare, sourcesFor('prepare'), context, 'prepare');
  const variants = plan.variants as readonly Variant<AnyLaunch | DeviceLaunch>[];
  const stepData = variants.map(
    (variant): StepData => ({
      name: variant.name,
      minTokens: variant.minTokens,
      maxTokens: variant.maxTokens,
      arena: variant.bytes,
      kernels: kernelsOf(variant, sourcesFor(variant.name), context, 'step'),
      repeats: repeatsOf(variant.launches.map(signatureOf)),
    }),
  );
  const tokens = steps.map(({ step, holds, written }): TokensData => {
    const at = variants.findIndex(({ maxTokens }) => step.tokens <= maxTokens);
    const variant = variants[at]! as Variant<AnyLaunch>;
    return { tokens: step.tokens, holds, step: at, figures: figuresOf(variant, step), written };
  });
  return {
    model: before.name,
    target,
    families,
    byteClasses,
    ops,
    prepare,
    steps: stepData,
    tokens,
    machines,
    excerpts: texts.excerpts,
    headers: texts.headers,
    sources: sourcesOf(files, places),
    places,
  };
}

/** The first launch that writes each buffer. */
function writersOf(launches: readonly (AnyLaunch | DeviceLaunch)[]): ReadonlyMap<string, number> {
  const writers = new Map<string, number>();
  for (const [i, launch] of launches.entries()) {
    for (const { view, access } of launchParameters(launch)) {
      if (view !== null && access !== 'reads' && !writers.has(view.buffer)) writers.set(view.buffer, i);
    }
  }
  return writers;
}
