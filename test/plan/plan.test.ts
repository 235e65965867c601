// Plans: buffers that live together never overlap, nothing is read before it is written, and text is the same each time.

import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import bytesLm from '../../examples/bytes-lm/model.ts';
import layer from '../../examples/layer.ts';
import { translate } from '../../src/compile.ts';
import { verify } from '../../src/ir/index.ts';
import { ALIGNMENT, align, placeBuffers } from '../../src/plan/arena.ts';
import { makePlan } from '../../src/plan/plan.ts';
import type { CpuPlan } from '../../src/plan/plans.ts';
import type { AnyLaunch, Schedule, View } from '../../src/plan/types.ts';
import { dtypeBytes } from '../../src/support/dtype.ts';
import { f32, GraphDraft } from '../graph-draft.ts';
import { cases } from '../ops/cases.ts';
import { mergeCases } from '../ops/merge-cases.ts';
import { seed } from '../settings.ts';

const test = suite('plan');

const smallLayer = layer({
  name: 'small-layer',
  config: { hidden_size: 32, knum: 8, kdim: 8, vdim: 16, knn: 4, head: 2 },
});

const plans: Record<string, CpuPlan> = {
  'bytes-lm': translate(bytesLm).plan as CpuPlan,
  'bytes-lm with taps': translate(bytesLm, { taps: true }).plan as CpuPlan,
  'op cases': makePlan(mergeCases('op-cases', cases)),
};

const views = (of: object): View[] => (Object.values(of) as (View | null)[]).filter((v) => v !== null);
const schedules = (plan: CpuPlan): Schedule[] => [plan.prepare, ...plan.variants];

for (const [name, plan] of Object.entries(plans)) {
  test(`${name}: buffers that live together do not overlap`, () => {
    for (const schedule of schedules(plan)) {
      for (const space of ['arena', 'scratch', 'prepared'] as const) {
        const buffers = schedule.buffers.filter((b) => b.space === space);
        for (const [i, a] of buffers.entries()) {
          assert.is(a.offset % ALIGNMENT, 0);
          if (space !== 'prepared') assert.ok(a.offset + a.bytes <= schedule.bytes, a.name);
          for (const b of buffers.slice(i + 1)) {
            const together = space === 'prepared' || (a.first <= b.last && b.first <= a.last);
            const overlap = a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;
            assert.not(together && overlap, `${a.name} and ${b.name}`);
          }
        }
      }
    }
  });

  test(`${name}: every buffer is written before it is read, and within its life`, () => {
    for (const schedule of schedules(plan)) {
      const written = new Set<string>();
      const buffers = new Map(schedule.buffers.map((b) => [b.name, b]));
      for (const [i, launch] of (schedule.launches as AnyLaunch[]).entries()) {
        for (const view of views(launch.reads)) {
          const buffer = buffers.get(view.buffer)!;
          assert.ok(buffer.first <= i && i <= buffer.last, `${view.buffer} in launch ${i}`);
          const given = ['input', 'weight', 'state'].includes(buffer.space);
          const earlier = buffer.space === 'prepared' && schedule !== plan.prepare;
          assert.ok(
            given || earlier || written.has(view.buffer),
            `launch ${i} (${launch.kernel}) reads ${view.buffer}`,
          );
        }
        for (const view of views(launch.writes)) written.add(view.buffer);
      }
      for (const b of schedule.buffers) {
        if (b.space === 'output') assert.ok(written.has(b.name), `${b.name} is never written`);
      }
    }
  });

  test(`${name}: views stay inside their buffers`, () => {
    for (const schedule of schedules(plan)) {
      const T = 'maxTokens' in schedule ? (schedule.maxTokens as number) : 1;
      const buffers = new Map(schedule.buffers.map((b) => [b.name, b]));
      for (const launch of schedule.launches as AnyLaunch[]) {
        for (const view of [...views(launch.reads), ...views(launch.writes)]) {
          const buffer = buffers.get(view.buffer)!;
          if (buffer.space === 'state') continue; // its first axis is S, which no schedule knows
          const last = view.shape.reduce<number>(
            (at, dim, axis) => at + ((typeof dim === 'number' ? dim : T) - 1) * view.strides[axis]!,
            view.offset,
          );
          const bytes = dtypeBytes[view.dtype];
          assert.ok((last + 1) * bytes <= buffer.bytes, `${launch.kernel}: ${view.buffer}[${last}]`);
        }
      }
    }
  });
}

test('placed buffers never share bytes while both live, whatever their sizes and lives', () => {
  const buffer = fc
    .record({ bytes: fc.integer({ min: 0, max: 5000 }), first: fc.nat(20), length: fc.nat(10) })
    .map(({ bytes, first, length }) => ({ bytes, first, last: first + length }));
  fc.assert(
    fc.property(fc.array(buffer, { maxLength: 25 }), (buffers) => {
      const { offsets, bytes } = placeBuffers(buffers);
      for (const [i, a] of buffers.entries()) {
        if (offsets[i]! % ALIGNMENT !== 0 || offsets[i]! + align(a.bytes) > bytes) return false;
        for (const [j, b] of buffers.entries()) {
          if (i >= j || a.first > b.last || b.first > a.last) continue;
          if (offsets[i]! < offsets[j]! + b.bytes && offsets[j]! < offsets[i]! + a.bytes) return false;
        }
      }
      return true;
    }),
    { seed },
  );
});

test('buffers that do not live together share memory', () => {
  const chain = Array.from({ length: 10 }, (_, i) => ({ bytes: 1024, first: i, last: i + 1 }));
  assert.is(placeBuffers(chain).bytes, 2048);
});

test('the same model gives the same bytes', () => {
  assert.equal([...translate(smallLayer).files], [...translate(smallLayer).files]);
});

test('weights that only prepare reads are not kept', () => {
  const { plan } = translate(smallLayer);
  const retained = new Set(plan.weights.filter((w) => w.retained).map((w) => w.name));
  assert.not(retained.has('keys'), 'keys are folded, and nothing reads them afterwards');
  assert.not(retained.has('query_proj.weight'), 'linear reads its packed copy');
  assert.ok(retained.has('values_for_look_up'), 'rows of the value table are read by every step');
  const kept = plan.prepare.buffers.filter((b) => b.space === 'prepared').map((b) => b.name);
  for (const name of kept) {
    assert.ok(
      plan.variants.some((v) => v.buffers.some((b) => b.name === name)),
      `${name} is kept and never read`,
    );
  }
});

test('variants cover every T once', () => {
  const { plan } = translate(smallLayer);
  assert.equal(
    plan.variants.map((v) => [v.minTokens, v.maxTokens]),
    [
      [1, 1],
      [2, 16],
      [17, 512],
    ],
  );
});

test('slices and reshapes launch nothing', () => {
  const g = new GraphDraft('views');
  const x = g.input('x', f32('T', 8));
  const halves = g.node('reshape', [x], { shape: ['T', 2, 4] });
  const second = g.node('slice', [halves], { axis: 1, start: 1, end: 2 });
  const y = g.node('unary', [g.node('reshape', [second], { shape: ['T', 4] })], { fn: 'relu' });
  g.output('y', y);
  const graph = g.build();
  verify(graph);
  const { launches } = makePlan(graph).variants[0]!;
  assert.is(launches.length, 1);
  assert.is((launches[0]!.reads as { a: View }).a.offset, 4);
});

test('an output whose T is not its first axis is refused with the limit', () => {
  const g = new GraphDraft('turned');
  const x = g.input('x', f32('T', 3));
  const y = g.node('transpose', [g.node('unary', [x], { fn: 'relu' })], { perm: [1, 0] });
  g.output('y', y);
  assert.throws(
    () => makePlan(g.build()),
    (error: { code: string; facts: { limit: string } }) =>
      error.code === 'unsupported-shape' && error.facts.limit === 'the first axis',
  );
});

test.run();
