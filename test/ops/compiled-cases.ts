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
import { filter, seed } from '../settings.ts';
import { dataOf, type OpCase, type Tensors } from './case.ts';
import { cases } from './cases.ts';
import { closeTo } from './compare.ts';
import { mergeCases, mergedInputs, tokensOf } from './merge-cases.ts';

/** Cases per addon: few enough that a compiler takes seconds for one source, many enough that few compilers start. */
const GROUP = 48;

const require = createRequire(import.meta.url);

/** Another form of the cases, where it is one: what it makes of a graph, what then comes out, and how exactly. */
export interface CaseForm {
  readonly name: string;
  graph(graph: Graph): Graph;
  expected(opCase: OpCase): Tensors[];
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
  const refused = cases.filter((opCase) => refusal(opCase) !== undefined);
  const runnable = cases.filter((opCase) => !refused.includes(opCase) && opCase.name.includes(filter));

  for (const [g, group] of groupsOf(runnable).entries()) {
    const name = `op-cases-${target}${form === undefined ? '' : `-${form.name}`}-${g}`;
    const graph = mergeCases(name, group);
    let loaded: Promise<LoadedModel> | undefined;
    for (const [i, opCase] of group.entries()) {
      test(opCase.name, async () => {
        loaded ??= load(makePlan(graph), graph, group, target === 'cuda' ? 'cuda' : 'simt');
        await check(await loaded, graph, opCase, i, form);
      });
    }
  }

  test('few cases are refused, each with the limit it meets', () => {
    for (const opCase of refused) {
      const error = refusal(opCase)!;
      assert.match(error.message, opCase.op, `${opCase.name}: ${error.message}`);
      assert.ok(error.facts.limit && error.facts.attribute, opCase.name);
    }
    assert.ok(
      refused.length <= cases.length / 20,
      `${refused.length} of ${cases.length}: ${refused.map((c) => c.name)}`,
    );
  });
}

/** Cases with states are alone: what other cases hand them would write one place of a cache several times in a step. */
function groupsOf(all: readonly OpCase[]): OpCase[][] {
  const stateful = all.filter(({ graph }) => graph.states.length > 0);
  const rest = all.filter((opCase) => !stateful.includes(opCase));
  const groups = Array.from({ length: Math.ceil(rest.length / GROUP) }, (_, g) =>
    rest.slice(g * GROUP, (g + 1) * GROUP),
  );
  return [...groups, ...stateful.map((opCase) => [opCase])];
}

async function load(plan: Plan, graph: Graph, group: readonly OpCase[], backend: Backend): Promise<LoadedModel> {
  verify(graph);
  const files = emit(plan, { source: 'cases.ts', graphBefore: '', graphAfter: '' }, backend);
  const built = await buildAddon(plan.name, files, { outDir: freshFolder(plan.name) });
  const weights = group.flatMap((opCase, i) =>
    Object.entries(dataOf(opCase, seed).weights).map(([id, tensor]) => [`c${i}_${id}`, tensor] as const),
  );
  return loadNative(require(built.addon), Object.fromEntries(weights), { threads: 2 });
}

async function check(
  native: LoadedModel,
  graph: Graph,
  opCase: OpCase,
  i: number,
  form: CaseForm | undefined,
): Promise<void> {
  const { steps, expected: exact } = dataOf(opCase, seed);
  const expected = form?.expected(opCase) ?? exact;
  const least = form?.tolerance ?? 1e-6;
  const engine = native.openEngine({ S: opCase.sequences ?? 1 }, 2);
  try {
    for (const [s, inputs] of steps.entries()) {
      const T = tokensOf(opCase.graph, inputs);
      const outputs = await engine.step({
        inputs: mergedInputs(graph, i, inputs, T),
        symbols: { T },
        signal: undefined,
      });
      for (const [output, wanted] of Object.entries(expected[s]!)) {
        const got = outputs[`c${i}_${output}`];
        closeTo(`${opCase.name}, step ${s}, ${output}`, got, wanted, Math.max(opCase.tolerance ?? 0, least));
      }
    }
  } finally {
    engine.dispose();
  }
}
