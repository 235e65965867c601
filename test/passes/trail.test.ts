// What the trail of all passes says of as-written nodes: nothing on the way to an output gets lost, and what was taken out as the
// same as another value is the same.

import fc from 'fast-check';
import { trace } from 'ultramem';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Graph, Interpreter, type Node, Trail, Uses, type ValueId } from '../../src/ir/index.ts';
import type { Pass } from '../../src/passes/index.ts';
import { PassError, runPasses } from '../../src/passes/run-passes.ts';
import { arbitraryGraph, dataFor } from '../arbitrary-graph.ts';
import { caseNames, modelOf, openCase } from '../reference/golden.ts';
import { seed } from '../settings.ts';
import { arbitraryLayer, layerVariant } from './layer-variants.ts';
import type { Data } from './meaning.ts';
import { memoryPlus, v2 } from './relatives.ts';

const test = suite('passes: trail');
const options = { seed, numRuns: 60 };

/** The nodes that a value is computed by; `instead`: the value that stands in for those of a node. */
function behind(
  value: ValueId,
  uses: Uses,
  instead: (node: Node) => ValueId | undefined = () => undefined,
): ReadonlySet<Node> {
  const found = new Set<Node>();
  for (let queue = [value], id = queue.pop(); id !== undefined; id = queue.pop()) {
    const node = uses.producer(id);
    if (node === undefined || found.has(node)) continue;
    found.add(node);
    const other = instead(node);
    queue.push(...(other === undefined ? node.inputs : [other]));
  }
  return found;
}

/** Every node behind an output before is stood for behind that output after, or was taken out with a reason. */
function loseNothing(before: Graph, after: Graph, trail: Trail): void {
  const [usesBefore, usesAfter] = [new Uses(before), new Uses(after)];
  for (const [i, { name, value }] of before.outputs.entries()) {
    const now = [...behind(after.outputs[i]!.value, usesAfter)];
    const stoodFor = new Set(now.flatMap(({ results }) => [...trail.originOf(results[0]!.id).sources]));
    const same = (node: Node): ValueId | undefined => {
      const removal = trail.removalOf(node);
      return removal?.why === 'same' ? removal.as : undefined;
    };
    for (const node of behind(value, usesBefore, same)) {
      const { id } = node.results[0]!;
      assert.ok(
        stoodFor.has(node) || trail.removalOf(node) !== undefined,
        `${node.op} %${id} is lost behind output ${name}`,
      );
    }
  }
  for (const node of before.nodes) {
    const alive = after.nodes.some(({ results }) => trail.originOf(results[0]!.id).sources.has(node));
    assert.is(trail.removalOf(node) === undefined, alive, `%${node.results[0]!.id} either lives on or was taken out`);
  }
}

/** Values that were taken out for another's sake hold the same elements. */
function sameElements(before: Graph, trail: Trail, { weights, steps, symbols }: Data): void {
  const pairs = before.nodes.flatMap((node) => {
    const removal = trail.removalOf(node);
    return removal?.why === 'same' ? [[node.results[0]!.id, removal.as] as const] : [];
  });
  const uses = new Uses(before);
  const made = (id: ValueId): boolean => uses.producer(id) !== undefined;
  const taps = pairs.flatMap(([a, b], i) =>
    made(a) && made(b)
      ? [
          { name: `a${i}`, value: a },
          { name: `b${i}`, value: b },
        ]
      : [],
  );
  const interpreter = new Interpreter({ ...before, taps }, { weights, symbols });
  for (const inputs of steps) {
    const { taps: values } = interpreter.step(inputs, { taps: true });
    for (const { name } of taps) {
      if (!name.startsWith('a')) continue;
      const [a, b] = [values[name]!, values[`b${name.slice(1)}`]!];
      assert.equal([...a.data], [...b.data], `pair ${name}: ${JSON.stringify(pairs[Number(name.slice(1))])}`);
    }
  }
}

function follow(before: Graph): { after: Graph; trail: Trail } {
  const trail = new Trail(before);
  const { graph } = runPasses(before, { trail });
  assert.is(trail.graph, graph);
  return { after: graph, trail };
}

test('random graphs', () => {
  fc.assert(
    fc.property(arbitraryGraph(), (random) => {
      const { after, trail } = follow(random.graph);
      loseNothing(random.graph, after, trail);
      sameElements(random.graph, trail, random);
    }),
    options,
  );
});

test('hand-written memory layers', () => {
  fc.assert(
    fc.property(arbitraryLayer, (layer) => {
      const before = layerVariant(layer);
      const { after, trail } = follow(before);
      loseNothing(before, after, trail);
      sameElements(before, trail, dataFor(before, seed));
    }),
    options,
  );
});

for (const [name, before] of [
  ['Memory+', memoryPlus({ gated: true })],
  ['V2', v2()],
] as const) {
  test(name, () => {
    const { after, trail } = follow(before);
    loseNothing(before, after, trail);
    sameElements(before, trail, dataFor(before, seed));
  });
}

for (const name of caseNames) {
  test(name, async () => {
    const before = trace(modelOf(await openCase(name)));
    const { after, trail } = follow(before);
    loseNothing(before, after, trail);
  });
}

test('the kernels of a layer: what each stands for', () => {
  const before = layerVariant({});
  const { after, trail } = follow(before);
  const stands = after.nodes
    .filter(({ stage, op }) => stage === 'step' && !['reshape', 'slice', 'transpose', 'constant'].includes(op))
    .map((node) => {
      const { sources } = trail.originOf(node.results[0]!.id);
      return `${node.op}: ${before.nodes.flatMap((one) => (sources.has(one) ? [one.op] : [])).join(' ')}`;
    });
  assert.equal(stands, [
    'einsum: einsum',
    'norm: norm',
    'score_topk: reshape einsum einsum topk',
    'score_topk: reshape einsum einsum topk',
    // Both sides' rank scores and gathers, the grid, its best, and the address with its two divisors and the keys of a side.
    'rescore_topk: reshape reshape einsum gather einsum gather einsum einsum reduce reshape topk constant binary gather constant binary binary gather binary reshape gather reshape gather',
    // Row and block of every slot, the rows, their weights, and the sums by block.
    'gather_pool: reshape constant binary gather reshape reshape binary reshape binary group_sum',
    'einsum: einsum',
  ]);
});

test('a pass that tells the trail nothing is caught', () => {
  const silent: Pass = function silent(graph) {
    return { ...graph };
  };
  const before = memoryPlus();
  assert.throws(
    () => runPasses(before, { passes: [silent], trail: new Trail(before) }),
    (error: Error) => error instanceof PassError && /told the trail nothing/.test(error.message),
  );
});

test.run();
