// The op table as emitted for the cpu target, under the address and undefined-behaviour sanitizers, on three threads: clean,
// and right. Arenas, outputs and scratch begin as NaN, so that reading what nobody wrote shows as well.

import { rmSync } from 'node:fs';
import { suite } from 'uvu';
import { makePlan } from '../../src/plan/plan.ts';
import { UltramemError } from '../../src/support/errors.ts';
import type { Tensor } from '../../src/support/tensor.ts';
import { freshFolder } from '../build-folder.ts';
import { inLanes } from '../lanes.ts';
import { dataOf, type OpCase } from '../ops/case.ts';
import { cases } from '../ops/cases.ts';
import { closeTo } from '../ops/compare.ts';
import { mergeCases, mergedInputs, tokensOf } from '../ops/merge-cases.ts';
import { seed } from '../settings.ts';
import { buildStandalone } from './standalone.ts';

const test = suite('ops: cpu, sanitised');
const folder = freshFolder('sanitised');
const flags = ['-O1', '-g1', '-fsanitize=address,undefined', '-fno-sanitize-recover=all', '-fno-omit-frame-pointer'];

const planned = cases.filter(({ graph }) => {
  try {
    makePlan(graph);
    return true;
  } catch (error) {
    if (error instanceof UltramemError && error.code === 'unsupported-shape') return false; // test/ops/cpu.test.ts tells which
    throw error;
  }
});

/** Cases per program. */
const GROUP = 30;
const groups = Array.from({ length: Math.ceil(planned.length / GROUP) }, (_, g) =>
  planned.slice(g * GROUP, (g + 1) * GROUP),
);
const results = inLanes(groups.map((group, g) => () => runGroup(`sanitised-${g}`, group)));

for (const [g, group] of groups.entries()) {
  for (const [i, opCase] of group.entries()) {
    test(opCase.name, async () => {
      for (const [s, wanted] of dataOf(opCase, seed).expected.entries()) {
        for (const [output, tensor] of Object.entries(wanted)) {
          const got = (await results(g))[i]![s]![`c${i}_${output}`];
          closeTo(`${opCase.name}, step ${s}, ${output}`, got, tensor, Math.max(opCase.tolerance ?? 0, 1e-6));
        }
      }
    });
  }
}

async function runGroup(name: string, group: readonly OpCase[]): Promise<Record<string, Tensor>[][]> {
  const graph = mergeCases(name, group);
  const program = await buildStandalone(graph, `${folder}/${name}`, flags);
  const data = group.map((opCase) => dataOf(opCase, seed));
  const weights = data.flatMap(({ weights: own }, i) =>
    Object.entries(own).map(([id, tensor]) => [`c${i}_${id}`, tensor] as const),
  );
  const sessions = group.map((opCase, i) => ({
    symbols: { S: opCase.sequences ?? 1 },
    steps: data[i]!.steps.map((inputs) => {
      const T = tokensOf(opCase.graph, inputs);
      return { T, inputs: mergedInputs(graph, { [i]: inputs }, T) };
    }),
  }));
  return program.run(Object.fromEntries(weights), sessions, 3);
}

test.after(() => rmSync(folder, { recursive: true, force: true }));
test.run();
