// Pages without a browser: that every as-written op is accounted for, what the data says, that nothing hostile gets out of its place.

import { readFileSync } from 'node:fs';
import { linear, model, trace } from 'ultramem';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { translate } from '../../src/compile.ts';
import { type Inspection, type InspectTarget, inspect } from '../../src/inspect.ts';
import { parse, print } from '../../src/ir/index.ts';
import type { KernelData, PageData } from '../../src/page/data.ts';
import { escaped } from '../../src/page/html.ts';
import { root } from '../cli/run-command.ts';
import { deep, type Example, examples } from './models.ts';
import { dataOf, pageOf } from './written-page.ts';

const test = suite('page');

/** Ops that can be views of other values, or stand as numbers in the kernels that use them. */
const views = ['reshape', 'transpose', 'slice', 'cast', 'constant'];

/**
 * Every node as written is computed by kernels of each step, or when weights load, or was taken out with a reason, or is stood for by
 * views alone.
 */
function accountsForAll({ before, after, plan, provenance }: Inspection): void {
  const nodes = new Map(after.nodes.map((node) => [node.results[0]!.id, node]));
  const stoodFor = (ids: Iterable<string>): Set<string> =>
    new Set([...ids].flatMap((id) => provenance.nodes[id]!.from));
  const prepared = stoodFor(
    after.nodes.filter(({ stage }) => stage === 'prepare').map(({ results }) => results[0]!.id),
  );
  const inViews = stoodFor([...nodes].flatMap(([id, { op }]) => (views.includes(op) ? [id] : [])));
  for (const { name, launches } of plan.variants) {
    const computed = stoodFor(launches.flatMap((launch) => launch.nodes));
    for (const { op, results } of before.nodes) {
      const { id } = results[0]!;
      const removed = provenance.removed[id];
      assert.ok(
        computed.has(id) || prepared.has(id) || removed !== undefined || inViews.has(id),
        `${before.name}, ${name}: nobody accounts for ${op} %${id}`,
      );
      if (removed !== undefined) assert.not(computed.has(id) || prepared.has(id), `%${id} is both gone and there`);
    }
    // No launch without a node, but for those that hand out results.
    for (const { nodes: own, computes } of launches) {
      assert.is(own.length === 0, computes === '', computes);
      for (const id of own) assert.ok(nodes.has(id), id);
    }
  }
}

const ways: readonly Parameters<typeof inspect>[1][] = [
  { target: 'cpu' },
  { target: 'cuda' },
  { target: 'cpu', precision: 'bf16', tables: 'int8' },
  { target: 'cuda', precision: 'bf16', tables: 'fp8' },
];

for (const { model } of [...examples, { model: deep }]) {
  test(`every op of ${model.name} ends in a kernel, at load, as a view, or is stated as taken out`, () => {
    const graph = trace(model);
    for (const way of ways) accountsForAll(inspect(graph, way));
  });
}

/** What must hold of the data of any page. */
function check(data: PageData, graph: ReturnType<typeof trace>): void {
  assert.is(data.ops.length, graph.nodes.length);
  const lists: readonly (readonly KernelData[])[] = [data.prepare, ...data.steps.map(({ kernels }) => kernels)];
  for (const kernel of lists.flat()) {
    assert.ok(kernel.excerpts.length > 0, `${kernel.kernel} has no source`);
    for (const at of kernel.excerpts) assert.ok(data.excerpts[at]!.text.length > 0);
    const { text, path, about } = data.headers[kernel.header]!;
    assert.ok(text.length > 0 && about.length > 0, path);
    if (kernel.kernel !== 'fill') {
      assert.match(text.split('\n')[kernel.headerLine - 1]!, new RegExp(`\\b${kernel.calls}\\(`), path);
    }
    for (const op of kernel.ops) assert.ok(data.ops[op] !== undefined);
  }
  for (const { step, figures, tokens, written } of data.tokens) {
    const { kernels, minTokens, maxTokens } = data.steps[step]!;
    assert.ok(minTokens <= tokens && tokens <= maxTokens);
    assert.is(figures.length, kernels.length);
    for (const row of figures) {
      assert.is(row.length, data.byteClasses.length + 1);
      for (const figure of row) assert.ok(Number.isSafeInteger(figure) && figure >= 0, String(figure));
    }
    const bytes = figures.flatMap((row) => row.slice(0, -1)).reduce((a, b) => a + b, 0);
    assert.ok(written !== undefined && written.bytes >= bytes, `${written?.bytes} bytes as written, ${bytes} fused`);
  }
  for (const { calls, text } of data.ops) {
    assert.ok(calls.length > 0, `${text} has no call`);
    const own = calls.map((at) => data.places[at]!).filter(([source]) => !data.sources[source]!.preset);
    assert.ok(own.length > 0, `${text} was called by nobody's file`);
  }
  // Every place that is referred to has its line.
  for (const [source, line] of data.places) {
    const { file, ranges } = data.sources[source]!;
    assert.ok(
      ranges.some((range) => range.line <= line && line < range.line + range.lines.length),
      `${file}:${line}`,
    );
  }
}

for (const [target, precision, some] of [
  ['cpu', 'f32', examples],
  ['cuda', 'bf16', examples.slice(0, 7)],
  ['simt', 'f32', examples.slice(0, 1)],
] as const satisfies readonly (readonly [InspectTarget, 'f32' | 'bf16', readonly Example[]])[]) {
  for (const { file, model } of some) {
    test(`the page on ${model.name} for ${target}, ${precision}`, async () => {
      const page = await pageOf(model, file, { target, precision });
      const data = dataOf(page);
      check(data, trace(model));
      assert.is(data.target, target);
      assert.not.ok(page.includes(root), 'no path of this machine');
      assert.ok(page.includes(`<h1>${model.name}</h1>`));
      // Nothing is asked for from elsewhere.
      assert.not.match(
        page.replaceAll(/<script type="application\/json"[\s\S]*?<\/script>/g, ''),
        /(?:src|href)="(?!#|data:)/,
      );
    });
  }
}

test('excerpts are the lines of the emitted files', async () => {
  const [{ file, model }] = examples as [Example];
  for (const target of ['cpu', 'cuda'] as const) {
    const { files } = translate(model, { target });
    for (const { file: name, line, text } of dataOf(await pageOf(model, file, { target })).excerpts) {
      const lines = files.get(name)!.split('\n');
      assert.is(lines.slice(line - 1, line - 1 + text.split('\n').length).join('\n'), text, `${name}:${line}`);
    }
  }
});

test('the same page twice', async () => {
  const [{ file, model }] = examples as [Example];
  assert.is(await pageOf(model, file), await pageOf(model, file));
});

test('a deep decoder is folded, and its page of a sane size', async () => {
  const { file } = examples[8]!;
  const page = await pageOf(deep, file);
  const data = dataOf(page);
  for (const { kernels, repeats } of data.steps) {
    const hidden = repeats.reduce((n, { period, count }) => n + period * (count - 1), 0);
    assert.ok(hidden > kernels.length / 2, `${hidden} of ${kernels.length} kernels are repeats`);
  }
  assert.ok(page.length < 2.5 * 2 ** 20, `${page.length} bytes`);
});

test('the text of a graph has a page too, without lines', async () => {
  const graph = parse(readFileSync(new URL('../../generated/bytes-lm/graph.before.ir', import.meta.url), 'utf8'));
  const data = dataOf(await pageOf(graph, 'graph.before.ir'));
  assert.is(data.ops.length, graph.nodes.length);
  assert.equal(data.sources, [{ file: 'model.ts', preset: false, ranges: [] }]);
  const none = parse(print({ ...graph, nodes: graph.nodes.map((node) => ({ ...node, loc: undefined })) }));
  assert.equal(dataOf(await pageOf(none, 'none.ir')).places, []);
});

test('a model without a symbol', async () => {
  const one = model('one', (m) => m.output('y', linear(m.input('x', [1, 8]), m.weight('w', [4, 8]))));
  const data = dataOf(await pageOf(one, 'one.ts', { readText: () => undefined }));
  assert.equal(
    data.tokens.map(({ tokens }) => tokens),
    [1],
  );
  assert.is(data.sources[0]!.ranges.length, 0);
});

const hostile = `</script><script>alert(1)</script><!--<b onclick='x'>&amp;"\u2028`;

/** The page has its own elements, and no others. */
function holdsNothingElse(page: string): void {
  assert.is(page.match(/<script/gi)!.length, 2);
  assert.is(page.match(/<\/script/gi)!.length, 2);
  assert.not.match(page, /<b onclick|alert\(1\)<|<!--/);
}

test('names of a graph stay text', async () => {
  const name = JSON.stringify(hostile);
  const graph = parse(`graph ${name} {
  symbol T <= 8 step
  input %x : f32[T,8]
  weight @w ${name} : f32[64,8]
  step {
    %y = einsum %x, @w {equation="tk,nk->tn"}
  }
  output ${name} = %y
}`);
  const page = await pageOf(graph, `${hostile}.ir`);
  holdsNothingElse(page);
  assert.ok(page.includes(`<h1>${escaped(hostile)}</h1>`));
  const data = dataOf(page);
  assert.is(data.model, hostile, 'the name is there as it was');
  assert.ok(data.steps[0]!.kernels.some(({ operands }) => operands.some(({ of }) => of === hostile)));
});

test('files of a model stay text', async () => {
  const [{ file, model }] = examples as [Example];
  const page = await pageOf(model, file, { readText: () => `${hostile}\n`.repeat(200) });
  holdsNothingElse(page);
  assert.ok(dataOf(page).sources.some(({ ranges }) => ranges.some(({ lines }) => lines.includes(hostile))));
});

test.run();
