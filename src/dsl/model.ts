// A model: its name and the definition that, when run, records its graph.

import type { Graph, Loc, Meta, ValueId } from '../ir/graph.ts';
import { verify } from '../ir/verify.ts';
import { DiagnosticsError } from '../support/diagnostics.ts';
import { type Call, callSite } from './call-site.ts';
import { declare, type ModelContext } from './declare.ts';
import { startTrace, within } from './trace.ts';

/** What a model file exports: made by `model`, turned into a graph by `trace`. */
export interface Model {
  readonly kind: 'model';
  readonly name: string;
  readonly define: (m: ModelContext) => void;
  readonly meta: Meta;
  /** Where `model` was called; call sites in the graph are relative to that file's folder. */
  readonly loc: Loc | undefined;
}

/**
 * Names a model and gives its definition. Nothing runs until the model is traced, so a model file is cheap to import.
 *
 * `define` declares inputs, weights, states, outputs and taps on `m`, and computes with the free words.
 * `name` names the generated folder, class and binary: letters, digits and `-`, a letter first.
 */
export function model(name: string, define: (m: ModelContext) => void, meta: Meta = {}): Model {
  return Object.freeze({ kind: 'model', name, define, meta, loc: callSite() });
}

/** Whether a value (say a module's default export) is a model. */
export const isModel = (value: unknown): value is Model =>
  typeof value === 'object' && value !== null && (value as Model).kind === 'model' && 'define' in value;

/**
 * Runs the model's definition and returns its graph, verified and frozen.
 *
 * @throws DiagnosticsError with every fault of the definition: after a fault the trace goes on with a stand-in, so one run
 * finds them all. An exception that the definition itself throws passes through, unless faults were found before it.
 */
export const trace = (model: Model): Graph => traceCalls(model).graph;

/** The graph of a model, and the calls that led to each node, by its first result: those of presets and of the user. Throws as trace. */
export function traceCalls(model: Model): {
  readonly graph: Graph;
  readonly calls: ReadonlyMap<ValueId, readonly Call[]>;
} {
  const recording = startTrace(model.name, model.loc);
  const { diagnostics } = recording;
  checkName(model, recording.diagnostics);
  try {
    within(recording, () => {
      const returned: unknown = model.define(declare(recording));
      if (typeof (returned as PromiseLike<unknown> | undefined)?.then === 'function') {
        const hint = 'load what it needs first, and give model() a plain function';
        diagnostics.push({
          ...nowhere,
          code: 'async-model',
          message: 'the definition is asynchronous',
          loc: model.loc,
          hint,
        });
      }
    });
  } catch (error) {
    // A definition may stumble over a stand-in's shape; what it stumbled over first is what the user should see.
    if (diagnostics.length === 0) throw error;
  }
  if (diagnostics.length === 0 && recording.outputs().length === 0) {
    const hint = "name a result with m.output('y', y)";
    diagnostics.push({ ...nowhere, code: 'no-output', message: 'the model has no output', loc: model.loc, hint });
  }
  if (diagnostics.length > 0) throw new DiagnosticsError(model.name, diagnostics);
  const graph = recording.finish(model.meta);
  verify(graph);
  return { graph, calls: recording.calls };
}

const nowhere = { loc: undefined, got: undefined, wanted: undefined, hint: undefined };

function checkName(model: Model, diagnostics: ReturnType<typeof startTrace>['diagnostics']): void {
  if (/^[a-z][a-z0-9-]*$/i.test(model.name)) return;
  const message = 'the name of a model becomes a folder, a class and a file name';
  const wanted = 'letters, digits and -, a letter first';
  diagnostics.push({
    ...nowhere,
    code: 'bad-model-name',
    message,
    loc: model.loc,
    got: JSON.stringify(model.name),
    wanted,
  });
}
