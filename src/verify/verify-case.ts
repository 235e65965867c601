// One case of the reference, from its configuration to a table of errors: build the model, run it, compare.

import { fileURLToPath } from 'node:url';
import { loadModel, type Model, trace } from '../compile.ts';
import { live } from '../ir/index.ts';
import { transpose } from '../ir/ops/transpose.ts';
import { referenceName, referencePermutation } from '../models/index.ts';
import { describeModel, type OpenOptions, openModel } from '../open-model.ts';
import { elements, type Tensor } from '../support/tensor.ts';
import { type Comparison, limits } from './compare.ts';
import { compareAll } from './expected.ts';
import { type Golden, goldenTensors } from './golden.ts';
import { expectedInStorage } from './same-storage.ts';
import { readStepInputs } from './step-inputs.ts';

export type VerifyOptions = Omit<OpenOptions, 'maxSequences' | 'taps'>;

/** What verifying one case gave. */
export interface CaseReport {
  readonly name: string;
  readonly kind: string;
  readonly state: 'passed' | 'failed' | 'skipped';
  /** Why it was skipped. */
  readonly reason: string | undefined;
  readonly comparisons: readonly Comparison[];
  /** Intermediates that fusion left no value of. */
  readonly notKept: readonly string[];
  /** Outputs against the reference, where the comparisons are with the interpreter in the same storage. */
  readonly fromReference?: readonly Comparison[];
}

/** Model files that build a kind of case. */
const builders: Readonly<Record<string, string>> = {
  ultramem_v1_layer: 'layer.ts',
  ultramem_v2_layers: 'ultramem-v2-layers.ts',
  memory_plus_layers: 'memory-plus-layers.ts',
  lm: 'language-model.ts',
};

/** Intermediates that every target keeps, whatever it fuses, where an output depends on them: which rows were retrieved, and with what scores. */
const alwaysKept = /(^|\.)(shuffled_index|lookup_scores)$/;

/** Builds, runs and compares one case. Faults of the case's files and of the build are thrown. */
export async function verifyCase(golden: Golden, options: VerifyOptions): Promise<CaseReport> {
  const { name, kind, config } = golden;
  const builder = builders[kind];
  if (builder === undefined) {
    const reason = `no preset for cases of kind ${kind}`;
    return { name, kind, state: 'skipped', reason, comparisons: [], notKept: [] };
  }
  const file = fileURLToPath(new URL(`../../examples/${builder}`, import.meta.url));
  const model = await loadModel(file, { name, config });
  const step = await readStepInputs(golden.files, describeModel(model).inputs);
  let { target } = options;
  await using session = await openModel(model, golden.files, {
    ...options,
    ...{ maxSequences: step.sequences, taps: true },
    onTarget: (chosen, why) => {
      target = chosen;
      options.onTarget?.(chosen, why);
    },
  });
  const outputs = await session.forward(step.inputs, { signal: options.signal });
  const computed = named(outputs);
  const { precision = 'f32', tables } = options;
  if (precision !== 'f32' || tables !== undefined) {
    const given = {
      inputs: step.inputs,
      sequences: step.sequences,
      outputs,
      precision,
      tables,
      target: target === 'cpu' ? target : ('simt' as const),
    };
    const { expected, choices } = await expectedInStorage(model, golden.files, given);
    const comparisons = [...compareAll(computed, named(expected), limits[precision]), ...choices];
    const fromReference = await distances(golden, computed);
    const state = comparisons.length > 0 && comparisons.every((c) => c.ok) ? 'passed' : 'failed';
    return { name, kind, state, reason: undefined, comparisons, notKept: [], fromReference };
  }
  const expected = { ...(await goldenTensors(golden, 'mid.')), ...(await goldenTensors(golden, 'out.')) };
  const names = Object.keys(expected);
  const absent = names.filter((wanted) => computed[wanted] === undefined);
  const unused = unusedTaps(model);
  const required = (wanted: string): boolean =>
    options.target === 'interpreter' || wanted.startsWith('out.') || (alwaysKept.test(wanted) && !unused.has(wanted));
  const comparisons = [
    ...compareAll(computed, Object.fromEntries(names.map((n) => [n, laidOut(n, expected[n]!, computed[n])]))),
    ...absent
      .filter(required)
      .map((n) => ({ name: n, ok: false, error: 1, swapped: 0, note: 'the model computes no such value' })),
  ];
  const state = comparisons.length > 0 && comparisons.every((c) => c.ok) ? 'passed' : 'failed';
  return { name, kind, state, reason: undefined, comparisons, notKept: absent.filter((n) => !required(n)) };
}

/** How far outputs lie from the reference's, whose values nothing rounds: what rounding costs a model that was trained without it. */
async function distances(golden: Golden, computed: Readonly<Record<string, Tensor>>): Promise<Comparison[]> {
  const expected = Object.entries(await goldenTensors(golden, 'out.'));
  return compareAll(computed, Object.fromEntries(expected.map(([n, want]) => [n, laidOut(n, want, computed[n])])));
}

/** Taps of what no output depends on, such as a memory whose output another one displaces: compilation leaves it out. */
function unusedTaps(model: Model): ReadonlySet<string> {
  const graph = trace(model);
  const used = new Set(live(graph.nodes, graph.outputs).flatMap(({ results }) => results.map(({ id }) => id)));
  const computed = new Set(graph.nodes.flatMap(({ results }) => results.map(({ id }) => id)));
  return new Set(graph.taps.filter(({ value }) => computed.has(value) && !used.has(value)).map(({ name }) => name));
}

/** Outputs by the reference's names: `y` → `out.y`. Taps carry theirs already. */
const named = (outputs: Readonly<Record<string, Tensor>>): Record<string, Tensor> =>
  Object.fromEntries(
    Object.entries(outputs).map(([name, value]) => [name.includes('.') ? name : `out.${referenceName(name)}`, value]),
  );

/** An expected tensor with its axes in the order of the computed one, and in its shape where the elements allow. */
function laidOut(name: string, expected: Tensor, computed: Tensor | undefined): Tensor {
  const perm = referencePermutation(name, expected.shape.length);
  const ordered = perm === undefined ? expected : transpose.run([expected], { perm }, {})[0]!;
  if (computed === undefined || elements(computed.shape) !== elements(ordered.shape)) return ordered;
  return { ...ordered, shape: computed.shape } as Tensor;
}
