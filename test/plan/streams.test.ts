// Launches on two streams: which ones, what they wait for, and that no two at the same time touch the same bytes.

import fc from 'fast-check';
import { model } from 'ultramem';
import { decoder, decoderFromConfig } from 'ultramem/models';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import bytesLm from '../../examples/bytes-lm/model.ts';
import { translate } from '../../src/compile.ts';
import { align, placeBuffers } from '../../src/plan/arena.ts';
import type { DeviceLaunch, DevicePointer } from '../../src/plan/device/launch.ts';
import { assignStreams, usedTogether } from '../../src/plan/device/streams.ts';
import { makeDevicePlan } from '../../src/plan/plan.ts';
import type { DevicePlan } from '../../src/plan/plans.ts';
import { printPlan } from '../../src/plan/print.ts';
import type { Decision, Variant } from '../../src/plan/types.ts';
import { cases } from '../ops/cases.ts';
import { mergeCases } from '../ops/merge-cases.ts';
import { seed } from '../settings.ts';

const test = suite('plan: streams');

const planOf = (of: Parameters<typeof translate>[0], taps = false): DevicePlan =>
  translate(of, { target: 'simt', taps }).plan as DevicePlan;

/** A decoder of four blocks with memories at `placement`. */
const placed = (placement: string): DevicePlan =>
  planOf(
    model('placed', (m) =>
      decoder(
        m,
        decoderFromConfig({
          ...{ d_model: 16, n_heads: 2, n_layers: 4, mlp_hidden_size: 32, vocab_size: 17, max_sequence_length: 16 },
          ...{ mem_type: 'ultramem_v1', mem_insert_way: placement, mem_knum: 96, mem_kdim: 4, mem_vdim: 8, mem_knn: 4 },
        }),
      ),
    ),
  );

/** Kernels of stream 1, without the suffix that says for how many tokens, and how often each memory's part is joined. */
const beside = ({ launches }: Variant<DeviceLaunch>): string[] =>
  launches.flatMap(({ stream, kernel }) => (stream === 1 ? [kernel.replace(/_(one|few|many|tile)\b/g, '')] : []));

const memory = ['norm', /^score_topk/, 'rescore_topk', 'gather_pool', 'linear'] as const;

function isMemories(kernels: readonly string[], count: number, name: string): void {
  assert.is(kernels.length, count * memory.length, `${name}: ${kernels}`);
  for (const [i, kernel] of kernels.entries()) assert.match(kernel, memory[i % memory.length]!, name);
}

test('memories run beside the blocks between reading and adding', () => {
  for (const [plan, count] of [
    [planOf(bytesLm), 2],
    [placed('0:3'), 1],
    [placed('0:1/2:3'), 2],
  ] as const) {
    for (const variant of plan.variants) {
      isMemories(beside(variant), count, `${plan.name} ${variant.name}`);
      const { launches } = variant;
      const forks = launches.filter(({ stream, after }) => stream === 1 && after !== undefined);
      const joins = launches.filter(({ stream, after }) => stream === 0 && after !== undefined);
      assert.is(forks.length, count);
      assert.is(joins.length, count);
      for (const [n, fork] of forks.entries()) {
        const first = launches.indexOf(fork);
        assert.is(fork.kernel, 'norm'); // of the query, which came out of a product with the block's own
        assert.match(launches[fork.after!]!.kernel, /^linear/);
        assert.is(joins[n]!.after, first + memory.length - 1);
        assert.ok(launches.indexOf(joins[n]!) > first + memory.length + 4, 'a block runs beside');
      }
    }
  }
});

test('a memory that adds where it reads stays in order', () => {
  for (const plan of [placed('0:0'), placed('full'), placed('no_mem')]) {
    for (const variant of plan.variants) {
      assert.equal(beside(variant), [], variant.name);
      assert.ok(variant.launches.every(({ after }) => after === undefined));
    }
  }
});

test('the plan says which launches, and why', () => {
  const text = printPlan(planOf(bytesLm));
  assert.match(
    text,
    /v_einsum_\d+ +stream 1, launches \d+…\d+ in one +needs nothing after launch \d+ and nobody before/,
  );
  assert.match(text, / = norm<.* shared=0 stream=1 after=\d+ {2}\/\/ model\.ts/);
  assert.match(text, / = gather_pool<.* shared=0 stream=1 {2}\/\//);
  assert.match(text, / = add_norm<.* shared=0 after=\d+ {2}\/\//);
});

/** What runs at the same time as what, by every path that streams and waits make. */
function concurrent(launches: readonly DeviceLaunch[]): (a: number, b: number) => boolean {
  const before = launches.map(() => new Set<number>());
  for (const [i, { stream, after }] of launches.entries()) {
    const previous = launches.slice(0, i).findLastIndex((l) => l.stream === stream);
    for (const earlier of [previous, after ?? -1]) {
      if (earlier < 0) continue;
      before[i]!.add(earlier);
      for (const i2 of before[earlier]!) before[i]!.add(i2);
    }
  }
  return (a, b) => a !== b && !before[a]!.has(b) && !before[b]!.has(a);
}

interface Placing {
  readonly name: string;
  readonly bytes: number;
  readonly offset: number;
  readonly arena: boolean;
}

/** Two launches at the same time, of which one writes what the other touches; undefined where there are none. */
function clash(launches: readonly DeviceLaunch[], placing: ReadonlyMap<string, Placing>): string | undefined {
  const together = concurrent(launches);
  const touch = ({ pointers }: DeviceLaunch) =>
    pointers.flatMap(({ view, access }) => (view === null ? [] : [{ at: placing.get(view.buffer)!, access }]));
  for (const [i, a] of launches.entries()) {
    for (const [j, b] of launches.entries()) {
      if (j <= i || !together(i, j)) continue;
      for (const x of touch(a)) {
        for (const y of touch(b)) {
          const bytes =
            x.at.arena && y.at.arena
              ? x.at.offset < y.at.offset + y.at.bytes && y.at.offset < x.at.offset + x.at.bytes
              : x.at.name === y.at.name;
          if (bytes && (x.access !== 'read' || y.access !== 'read')) return `${i} ${x.at.name}, ${j} ${y.at.name}`;
        }
      }
    }
  }
  return undefined;
}

/** Two launches in order whose buffers share bytes, though the earlier one's content is needed after the later has written. */
function overwritten(launches: readonly DeviceLaunch[], placing: ReadonlyMap<string, Placing>): string | undefined {
  const users = new Map<string, number[]>();
  for (const [i, { pointers }] of launches.entries()) {
    for (const { view } of pointers) if (view) users.set(view.buffer, [...(users.get(view.buffer) ?? []), i]);
  }
  const buffers = [...users].map(([name, at]) => ({
    ...placing.get(name)!,
    first: Math.min(...at),
    last: Math.max(...at),
  }));
  for (const a of buffers) {
    for (const b of buffers) {
      if (a.name >= b.name || !a.arena || !b.arena || a.first > b.last || b.first > a.last) continue;
      if (a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes) return `${a.name}, ${b.name}`;
    }
  }
  return undefined;
}

/** Cases that a step on a device can have. */
const served = cases.filter(({ graph }) => {
  try {
    return makeDevicePlan(graph) !== undefined;
  } catch {
    return false; // test/ops looks into these
  }
});

const plans: Readonly<Record<string, () => DevicePlan>> = {
  'bytes-lm': () => planOf(bytesLm),
  'bytes-lm with taps': () => planOf(bytesLm, true),
  'memories that overlap others’ blocks': () => placed('0:2/1:3'),
  'op cases': () => makeDevicePlan(mergeCases('op-cases', served)),
};

for (const [name, plan] of Object.entries(plans)) {
  test(`${name}: launches that may run at once touch no bytes that one of them writes`, () => {
    for (const { launches, buffers } of plan().variants) {
      const placing = new Map(buffers.map((b) => [b.name, { ...b, arena: b.space === 'arena' }]));
      assert.is(clash(launches, placing), undefined);
      assert.is(overwritten(launches, placing), undefined);
    }
  });
}

/** A launch by what it reads and writes; buffers from `s` on are states, the rest live in the arena. */
const launchOf = (reads: readonly string[], writes: readonly string[]): DeviceLaunch => {
  const pointer = (access: DevicePointer['access']) => (buffer: string) => ({
    name: buffer,
    view: { buffer, dtype: 'f32', offset: 0, shape: [], strides: [] } as const,
    access,
  });
  const updates = writes.filter((w) => reads.includes(w));
  return {
    ...{ kernel: 'any', header: 'any', constants: [], rows: { factor: 1, tokens: false }, scalars: [] },
    ...{ grid: [1, 1, 1], block: [1, 1, 1], shared: 0, stream: 0, computes: '', nodes: [], loc: undefined },
    pointers: [
      ...reads.filter((r) => !updates.includes(r)).map(pointer('read')),
      ...writes.filter((w) => !updates.includes(w)).map(pointer('write')),
      ...updates.map(pointer('update')),
    ],
  };
};

const seldom = (most: number) =>
  fc.oneof({ weight: 5, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: fc.nat(most) });

/** Three chains that are drawn into one order, read each other's results here and there, and write again what others read. */
const steps = fc.array(
  fc.record({
    chain: fc.nat(2),
    /** How far back a result is that it reads besides its chain's last. */
    far: seldom(40),
    state: seldom(3),
    /** How far back a result is that it adds to. */
    again: seldom(40),
    bytes: fc.integer({ min: 1, max: 900 }),
  }),
  { minLength: 1, maxLength: 40 },
);

test('random launches: at the same time, no bytes that one of them writes', () => {
  let forked = 0;
  fc.assert(
    fc.property(steps, (drawn) => {
      const sizes = new Map<string, number>();
      const last = new Map<number, string>();
      const launches = drawn.map(({ chain, far, state, again, bytes }, i) => {
        const back = (by: number | null) => (by === null || i === 0 ? [] : [`v${Math.max(0, i - 1 - by)}`]);
        const own = last.get(chain);
        const states = state === null ? [] : [`s${state}`];
        last.set(chain, `v${i}`);
        sizes.set(`v${i}`, bytes);
        const reads = new Set([...(own === undefined ? [] : [own]), ...back(far), ...states]);
        const writes = new Set([`v${i}`, ...back(again), ...(bytes % 2 ? states : [])]);
        return launchOf([...reads], [...writes]);
      });
      const decisions: Decision[] = [];
      const assigned = assignStreams(launches, (decision) => void decisions.push(decision));
      forked += decisions.length;
      const used = (name: string) =>
        launches.flatMap(({ pointers }, i) => (pointers.some(({ view }) => view?.buffer === name) ? [i] : []));
      const buffers = [...sizes].map(([name, bytes]) => {
        const at = used(name);
        return { name, bytes, first: at[0]!, last: at.at(-1)! };
      });
      const { offsets } = placeBuffers(buffers, usedTogether(assigned));
      const placing = new Map<string, Placing>(
        buffers.map((b, i) => [b.name, { ...b, bytes: align(b.bytes), offset: offsets[i]!, arena: true }]),
      );
      for (let s = 0; s < 4; s++) placing.set(`s${s}`, { name: `s${s}`, bytes: 0, offset: 0, arena: false });
      const found = clash(assigned, placing) ?? overwritten(assigned, placing);
      if (found !== undefined)
        throw new Error(`${found}\n${JSON.stringify(assigned.map(({ stream, after }) => [stream, after]))}`);
    }),
    { seed, numRuns: 400 },
  );
  assert.ok(forked > 40, `only ${forked} segments on a second stream`);
});

test.run();
