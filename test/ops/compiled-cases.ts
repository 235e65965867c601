// The op table on a target that is compiled: some cases share an addon, each runs in a session of its own.

import { createRequire } from 'node:module';
import type { Test } from 'uvu';
import * as assert from 'uvu/assert';
import { buildAddon } from '../../src/build/build-addon.ts';
import { type Backend, emit } from '../../src/codegen/emit.ts';
import { type Graph, verify } from '../../src/ir/index.ts';
import type { Plan } from '../../src/plan/plans.ts';
import type { LoadedModel } from '../../src/runtime/engine.ts';
import { loadNative } from '../../src/runtime/native-engine.ts';
import { UltramemError } from '../../src/support/errors.ts';
import { freshFolder } from '../build-folder.ts';
import { inLanes } from '../lanes.ts';
import { filter, seed } from '../settings.ts';
import { dataOf, type OpCase, type Tensors } from './case.ts';
import { cases } from './cases.ts';
import { closeTo } from './compare.ts';
import { mergeCases, mergedInputs, tokensOf } from './merge-cases.ts';

/** Cases per addon: few enough that a compiler takes seconds for one source, many enough that few compilers start. */
const GROUP = 80;

const require = createRequire(import.meta.url);

/** Another form of the cases, where it is one: what it makes of a graph, what then comes out, and how exactly. */
export interface CaseForm {
  readonly name: string;
  graph(graph: Graph): Graph;
  /** Whether a case has this form; default: all. */
  applies?(opCase: OpCase): boolean;
  expected(opCase: OpCase): Tensors[] | Promise<Tensors[]>;
  readonly tolerance: number;
}

/** Adds a test per case, and one on the cases that the target refuses: each must name its limit, and they must be few. */
export function testCases(test: Test, target: 'cpu' | Backend, planOf: (graph: Graph) => Plan, form?: CaseForm): void {
  const makePlan = (graph: Graph): Plan => planOf(form?.graph(graph) ?? graph);
  const refusal = ({ graph }: OpCase): UltramemError | undefined => {
    try {
      makePlan(graph);
      return undefined;
    } catch (error) {
      if (error instanceof UltramemError && error.code === 'unsupported-shape') return error;
      throw error;
    }
  };
  const formed = cases.filter((opCase) => form?.applies?.(opCase) ?? true);
  const refused = formed.filter((opCase) => refusal(opCase) !== undefined);
  const runnable = formed.filter((opCase) => !refused.includes(opCase) && opCase.name.includes(filter));

  const groups = groupsOf(runnable);
  const runs = inLanes(
    groups.map((group, g) => async () => {
      const graph = mergeCases(`op-cases-${target}${form === undefined ? '' : `-${form.name}`}-${g}`, group);
      const native = await load(makePlan(graph), graph, group, target === 'cuda' ? 'cuda' : 'simt');
      return runSteps(native, graph, group);
    }),
  );
  const suffix = form === undefined ? '' : `, ${form.name}`;
  for (const [g, group] of groups.entries()) {
    for (const [i, opCase] of group.entries()) {
      test(`${opCase.name}${suffix}`, async () => check(await runs(g), opCase, i, form));
    }
  }

  test('few cases are refused, each with the limit it meets', () => {
    for (const opCase of refused) {
      const error = refusal(opCase)!;
      assert.match(error.message, opCase.op, `${opCase.name}: ${error.message}`);
      assert.ok(error.facts.limit && error.facts.attribute, opCase.name);
    }
    assert.ok(
      refused.length <= formed.length / 20,
      `${refused.length} of ${formed.length}: ${refused.map((c) => c.name)}`,
    );
  });
}

/** Cases that take the same numbers of tokens step by step, and of sequences, so that a step runs them all. */
function groupsOf(all: readonly OpCase[]): OpCase[][] {
  const bySteps = new Map<string, OpCase[]>();
  for (const opCase of all) {
    const steps = `${stepTokens(opCase).join()} in ${opCase.sequences ?? 1}`;
    bySteps.set(steps, [...(bySteps.get(steps) ?? []), opCase]);
  }
  return [...bySteps.values()].flatMap((alike) =>
    Array.from({ length: Math.ceil(alike.length / GROUP) }, (_, g) => alike.slice(g * GROUP, (g + 1) * GROUP)),
  );
}

const stepTokens = (opCase: OpCase): number[] =>
  dataOf(opCase, seed).steps.map((inputs) => tokensOf(opCase.graph, inputs));

async function load(plan: Plan, graph: Graph, group: readonly OpCase[], backend: Backend): Promise<LoadedModel> {
  verify(graph);
  const files = emit(plan, { source: 'cases.ts', graphBefore: '', graphAfter: '' }, backend);
  const built = await buildAddon(plan.name, files, { outDir: freshFolder(plan.name) });
  const weights = group.flatMap((opCase, i) =>
    Object.entries(dataOf(opCase, seed).weights).map(([id, tensor]) => [`c${i}_${id}`, tensor] as const),
  );
  return loadNative(require(built.addon), Object.fromEntries(weights), { threads: 2 });
}

/** Outputs of every step of a group, its cases side by side. */
async function runSteps(native: LoadedModel, graph: Graph, group: readonly OpCase[]): Promise<Tensors[]> {
  const engine = native.openEngine({ S: group[0]!.sequences ?? 1 }, 2);
  try {
    const data = group.map((opCase) => dataOf(opCase, seed).steps);
    const outputs: Tensors[] = [];
    for (const [s, T] of stepTokens(group[0]!).entries()) {
      const inputs = mergedInputs(
        graph,
        data.map((steps) => steps[s]!),
        T,
      );
      outputs.push(await engine.step({ inputs, symbols: { T }, signal: undefined }));
    }
    return outputs;
  } finally {
    engine.dispose();
    native.dispose();
  }
}

async function check(
  outputs: readonly Tensors[],
  opCase: OpCase,
  i: number,
  form: CaseForm | undefined,
): Promise<void> {
  const expected = (await form?.expected(opCase)) ?? dataOf(opCase, seed).expected;
  const least = form?.tolerance ?? 1e-6;
  assert.is(outputs.length, expected.length, 'steps');
  for (const [s, wanted] of expected.entries()) {
    for (const [output, tensor] of Object.entries(wanted)) {
      const got = outputs[s]![`c${i}_${output}`];
      closeTo(`${opCase.name}, step ${s}, ${output}`, got, tensor, Math.max(opCase.tolerance ?? 0, least));
    }
  }
}
