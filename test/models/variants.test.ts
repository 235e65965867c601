// Layers that no preset is, in examples/variants: what `inspect` says of them, that nothing of a retrieval is left over, and that the
// compiled model computes what the words say, on the CPU and by simulated kernels.

import type { Model } from 'ultramem';
import { trace } from 'ultramem';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import gatedBlocks from '../../examples/variants/gated-blocks.ts';
import tuckerExperts from '../../examples/variants/tucker-experts.ts';
import tuckerSoftmax from '../../examples/variants/tucker-softmax.ts';
import { inspect } from '../../src/inspect.ts';
import { openModel } from '../../src/open-model.ts';
import { dataFor } from '../arbitrary-graph.ts';
import '../build-folder.ts';
import { inLanes } from '../lanes.ts';
import { distance } from '../passes/meaning.ts';
import { seed } from '../settings.ts';

const test = suite('examples: variants');

/** Kernels that `inspect` names, in order, but for products joined and element-wise chains. */
const kernels = (model: Model): string =>
  inspect(model)
    .notes.filter(({ kind, text }) => kind === 'fused' && !/^(einsum|elementwise) /.test(text))
    .map(({ text }) => text.split(' ')[0])
    .join(' ');

const scored = 'score_topk score_topk';
const cases: readonly [Model, string][] = [
  [tuckerSoftmax, `${scored} rescore_topk gather_pool ${scored} rescore_topk gather_pool`],
  [gatedBlocks, `${scored} sum_grid_topk gather_pool`],
  [tuckerExperts, `${scored} rescore_topk gather_dot gather_pool`],
];

for (const [model, wanted] of cases) {
  test(`${model.name}: what inspect reports`, () => {
    const { notes } = inspect(model);
    assert.is(kernels(model), wanted);
    assert.equal(
      notes.filter(({ kind }) => kind === 'left').map(({ text }) => text),
      [],
      'parts of a retrieval that did not fuse',
    );
    assert.ok(
      notes.some(({ text }) => text.includes('is never stored')),
      'what is spared is said',
    );
    for (const { kind, loc } of notes) assert.ok(kind === 'summary' || loc?.file.endsWith(`${model.name}.ts`));
  });
}

const runs = cases.flatMap(([model]) => (['cpu', 'simt'] as const).map((target) => ({ model, target })));
const outputs = inLanes(
  runs.map(({ model, target }) => async () => {
    const graph = trace(model);
    const { weights, steps } = dataFor(graph, seed);
    const byName = Object.fromEntries(
      graph.weights.map(({ name }) => [name, weights instanceof Map ? weights.get(name)! : Reflect.get(weights, name)]),
    );
    const [x] = steps;
    const run = async (on: typeof target | 'interpreter') => {
      await using session = await openModel(model, byName, { target: on, maxSequences: 1, threads: 2 });
      return (await session.forward(x!)).y!;
    };
    return distance(await run(target), await run('interpreter'));
  }),
);
for (const [i, { model, target }] of runs.entries()) {
  test(`${model.name}, ${target}`, async () => {
    const error = await outputs(i);
    assert.ok(error < 1e-5, `relative l2 error ${error}`);
  });
}

test.run();
